#include "target/daemon/unix_socket.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace nvmf::daemon {
namespace {

using Protocol = boost::asio::local::stream_protocol;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

uid_t user_of(const std::string& name, const std::string& path) {
  const passwd* const user = getpwnam(name.c_str());
  if (user == nullptr) fail(EINVAL, "there is no user \"" + name + "\" to own " + path);
  return user->pw_uid;
}

gid_t group_of(const std::string& name, const std::string& path) {
  const group* const found = getgrnam(name.c_str());
  if (found == nullptr) fail(EINVAL, "there is no group \"" + name + "\" to own " + path);
  return found->gr_gid;
}

void set_access(const std::string& path, const SocketAccess& access) {
  const uid_t owner = access.owner ? user_of(*access.owner, path) : static_cast<uid_t>(-1);
  const gid_t group = access.group ? group_of(*access.group, path) : static_cast<gid_t>(-1);
  if (chown(path.c_str(), owner, group) != 0) fail(errno, "cannot change the owner of " + path);
  if (chmod(path.c_str(), access.mode) != 0) fail(errno, "cannot change the mode of " + path);
}

bool is_served(boost::asio::io_context& io, const std::string& path) {
  Protocol::socket probe(io);
  boost::system::error_code error;
  probe.connect(path, error);
  return !error;
}

}  // namespace

UnixSocketFile::~UnixSocketFile() {
  if (is_ours_) unlink(path_.c_str());
}

Protocol::acceptor UnixSocketFile::listen(boost::asio::io_context& io, const SocketAccess& access) {
  if (is_served(io, path_)) fail(EADDRINUSE, "cannot serve on " + path_ + ": another process serves there");
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), made);
  if (made) fail(made.value(), "cannot create the directory of " + path_);
  unlink(path_.c_str());
  Protocol::acceptor acceptor(io);
  acceptor.open();
  boost::system::error_code error;
  const mode_t mask = umask(0777);
  acceptor.bind(path_, error);
  umask(mask);
  if (error) fail(error.value(), "cannot serve on " + path_);
  is_ours_ = true;
  set_access(path_, access);
  acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) fail(error.value(), "cannot serve on " + path_);
  return acceptor;
}

}  // namespace nvmf::daemon
