// An HTTP/1.1 server for the daemon's own services, on UNIX sockets and TCP addresses. Control thread only.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/parse.h"
#include "target/daemon/http_routes.h"

namespace nvmf::daemon {

struct HttpLimits {
  // At a time. When more come, the one that has kept the server waiting longest, and longer than `patience`, is closed;
  // if there is none, the new one is answered 503 and closed.
  uint32_t connections = 64;
  uint32_t connections_of_address = 64;  // of one IP address, likewise
  std::chrono::milliseconds patience{1'000};
  uint32_t streams = 16;  // answers that go on (HttpResponse::more), at a time; one more is refused with 503
  uint64_t body_bytes = config::kMaxFileBytes;  // of a request; longer ones are answered 413
  // For a request to arrive, counted from the connection or the previous answer; and for an answer to be sent.
  std::chrono::milliseconds timeout{10'000};
  // Not empty: every method but GET is answered 403 with this message, and what it brings is not looked at.
  std::string read_only{};
};

// A request that could have changed something, when it has been answered or refused.
struct HttpAudit {
  std::optional<HttpPeer> peer{};  // none: the request came by TCP
  std::string method{};
  std::string target{};  // path and query as they came
  std::string body{};    // text or JSON; empty when it was refused unread
  unsigned status = 0;
  std::string answer{};  // its body
};

class HttpServer {
 public:
  using Audit = std::function<void(const HttpAudit&)>;

  // Exceptions of handlers other than HttpError are answered 500. `audit`, when given, is told of every request but
  // GET.
  explicit HttpServer(HttpRoutes routes, HttpLimits limits = {}, Audit audit = {});
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
