#include "target/daemon/unix_socket.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace nvmf::daemon {
namespace {

using Protocol = boost::asio::local::stream_protocol;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

// The cause is in the sentence.
[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

void set_access(const std::string& path, const SocketAccess& access) {
  const uid_t owner = access.owner ? user_of(*access.owner, path) : static_cast<uid_t>(-1);
  const gid_t group = access.group ? group_of(*access.group, path) : static_cast<gid_t>(-1);
  // The systemd unit allows no chown.
  const bool is_given = access.owner || access.group;
  if (is_given && chown(path.c_str(), owner, group) != 0) {
    const int error = errno;
    if (error == EPERM)
      refuse("cannot change the owner of " + path +
             ": the daemon's user must be in the group, and its systemd unit must allow chown: a drop-in with "
             "SupplementaryGroups=GROUP and SystemCallFilter=@chown");
    fail(error, "cannot change the owner of " + path);
  }
  if (chmod(path.c_str(), access.mode) != 0) fail(errno, "cannot change the mode of " + path);
}

// What has the name now; none: nothing.
std::optional<struct stat> status_of(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return status;
  return std::nullopt;
}

// Only a socket that refuses connections is dead. What is not a socket may be anything, a disk image, too.
void remove_dead_socket(boost::asio::io_context& io, const std::string& path) {
  const auto status = status_of(path);
  if (!status) return;
  if (!S_ISSOCK(status->st_mode))
    refuse("cannot serve on " + path + ": the file is not a socket; remove it, or name another path");
  Protocol::socket probe(io);
  probe.open();
  probe.non_blocking(true);
  boost::system::error_code error;
  probe.connect(path, error);
  if (!error || error == boost::asio::error::would_block || error == boost::asio::error::try_again)
    refuse("cannot serve on " + path + ": another process serves there; stop it, or name another path");
  if (error != boost::asio::error::connection_refused)
    fail(error.value(), "cannot tell whether another process serves on " + path);
  unlink(path.c_str());
}

}  // namespace

uid_t user_of(const std::string& name, const std::string& path) {
  const passwd* const user = getpwnam(name.c_str());
  if (user == nullptr) refuse("there is no user \"" + name + "\" to own " + path);
  return user->pw_uid;
}

gid_t group_of(const std::string& name, const std::string& path) {
  const group* const found = getgrnam(name.c_str());
  if (found == nullptr) refuse("there is no group \"" + name + "\" to own " + path);
  return found->gr_gid;
}

UnixSocketFile::~UnixSocketFile() {
  if (is_there()) unlink(path_.c_str());
}

bool UnixSocketFile::is_there() const {
  const auto status = status_of(path_);
  return ours_ && status && std::pair(status->st_dev, status->st_ino) == *ours_;
}

Protocol::acceptor UnixSocketFile::listen(boost::asio::io_context& io, const SocketAccess& access) {
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), made);
  if (made) fail(made.value(), "cannot create the directory of " + path_);
  remove_dead_socket(io, path_);
  Protocol::acceptor acceptor(io);
  acceptor.open();
  boost::system::error_code error;
  const mode_t mask = umask(0777);
  acceptor.bind(path_, error);
  umask(mask);
  if (error) fail(error.value(), "cannot serve on " + path_);
  if (const auto status = status_of(path_)) ours_ = std::pair(status->st_dev, status->st_ino);
  set_access(path_, access);
  acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) fail(error.value(), "cannot serve on " + path_);
  return acceptor;
}

}  // namespace nvmf::daemon
