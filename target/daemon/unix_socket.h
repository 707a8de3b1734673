// A UNIX socket to serve on, and its file.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <optional>
#include <string>

namespace nvmf::daemon {

// Who may connect to a UNIX socket: those who may write its file.
struct SocketAccess {
  std::optional<std::string> owner{};  // name of a user; none: the daemon's user
  std::optional<std::string> group{};
  mode_t mode = 0600;
};

// The file is removed at destruction.
class UnixSocketFile {
 public:
  explicit UnixSocketFile(std::string path) : path_(std::move(path)) {}
  ~UnixSocketFile();
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

  // Listens on the path. Creates the directory, and replaces a socket file that no process serves any more. No process
  // may connect before the access rights are set. Throws std::system_error with the operation and the path.
  boost::asio::local::stream_protocol::acceptor listen(boost::asio::io_context& io, const SocketAccess& access);

 private:
  std::string path_;
  bool is_ours_ = false;
};

}  // namespace nvmf::daemon
