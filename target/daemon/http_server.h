// An HTTP/1.1 server for the daemon's own services, on UNIX sockets and TCP addresses. Control thread only.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "target/daemon/http_routes.h"

namespace nvmf::daemon {

struct HttpLimits {
  uint32_t connections = 64;         // at a time; more are answered 503 and closed
  uint64_t body_bytes = 16U << 20U;  // of a request; longer ones are answered 413
  // For a request to arrive, counted from the connection or the previous answer; and for an answer to be sent.
  std::chrono::milliseconds timeout{10'000};
};

class HttpServer {
 public:
  // Exceptions of handlers other than HttpError are answered 500.
  explicit HttpServer(HttpRoutes routes, HttpLimits limits = {});
  // Accepts no more connections. Present ones get their current answer, and end.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Serves the same routes on one more acceptor, which listens.
  void serve(boost::asio::local::stream_protocol::acceptor acceptor);
  void serve(boost::asio::ip::tcp::acceptor acceptor);

 private:
  struct Service;
  template <class Acceptor>
  void serve_on(Acceptor acceptor);

  std::shared_ptr<Service> service_;  // shared by the sessions
};

}  // namespace nvmf::daemon
