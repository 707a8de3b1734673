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
  std::optional<std::string> owner{};  // name of a user; none: whose the daemon is
  std::optional<std::string> group{};
  mode_t mode = 0600;
};

// The file goes with it.
class UnixSocketFile {
 public:
  explicit UnixSocketFile(std::string path) : path_(std::move(path)) {}
  ~UnixSocketFile();
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

  // Listens there. Makes the directory, takes the place of a socket that nobody serves any more. Nobody may connect
  // before the access is right. Throws std::system_error that says what could not be done, and where.
  boost::asio::local::stream_protocol::acceptor listen(boost::asio::io_context& io, const SocketAccess& access);

 private:
  std::string path_;
  bool is_ours_ = false;
};

}  // namespace nvmf::daemon
