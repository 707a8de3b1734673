// A UNIX socket to serve on, and its file.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <optional>
#include <string>
#include <utility>

namespace nvmf::daemon {

// Who may connect to a UNIX socket: those who may write its file.
struct SocketAccess {
  std::optional<std::string> owner{};  // name of a user; none: the daemon's user
  std::optional<std::string> group{};
  mode_t mode = 0600;
};

// The ids of a user and a group. Throw std::runtime_error when there is none of that name, which is to own `path`.
uid_t user_of(const std::string& name, const std::string& path);
gid_t group_of(const std::string& name, const std::string& path);

// The socket's file goes with it; a file that has taken its place stays.
class UnixSocketFile {
 public:
  explicit UnixSocketFile(std::string path) : path_(std::move(path)) {}
  ~UnixSocketFile();
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

  // Listens there. Makes the directory, takes the place of a socket that nobody serves any more, and of nothing else.
  // Nobody may connect before the access is right. Throws std::runtime_error that says what could not be done, where
  // and why.
  boost::asio::local::stream_protocol::acceptor listen(boost::asio::io_context& io, const SocketAccess& access);

 private:
  bool is_there() const;

  std::string path_;
  std::optional<std::pair<dev_t, ino_t>> ours_;  // the file that listen() made
};

}  // namespace nvmf::daemon
