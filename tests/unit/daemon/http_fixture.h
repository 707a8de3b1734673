// Routes served on a UNIX socket and a TCP address, on a thread of their own as the daemon's control thread is.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <string>
#include <thread>

#include "target/daemon/http_server.h"
#include "target/daemon/unix_socket.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {

class Served {
 public:
  explicit Served(HttpRoutes routes, HttpLimits limits = {}, HttpServer::Audit audit = {})
      : server_(std::in_place, std::move(routes), limits, std::move(audit)) {
    server_->serve(file_->listen(io_, {}));
    boost::asio::ip::tcp::acceptor acceptor(io_, {boost::asio::ip::address_v4::loopback(), 0});
    endpoint_ = acceptor.local_endpoint();
    server_->serve(std::move(acceptor));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Served() {
    io_.stop();
    thread_.join();
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  const std::string& path() const { return path_; }
  const boost::asio::ip::tcp::endpoint& endpoint() const { return endpoint_; }
  void close() {
    boost::asio::post(io_, [this] {
      server_.reset();
      file_.reset();
    });
  }

 private:
  Scratch scratch_;
  std::string path_ = scratch_.path() + "/run/socket";
  boost::asio::io_context io_;
  std::optional<UnixSocketFile> file_{std::in_place, path_};
  std::optional<HttpServer> server_;
  boost::asio::ip::tcp::endpoint endpoint_;
  std::thread thread_;
};

}  // namespace nvmf::daemon
