#include "target/daemon/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace nvmf::daemon {

struct HttpServer::Service {
  HttpRoutes routes;
  HttpLimits limits;
  uint32_t connections = 0;
  bool closed = false;
  std::vector<std::function<void()>> close_acceptors{};
};

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Task = asio::awaitable<void>;
using Response = http::response<http::string_body>;

// The process has no descriptor left, for instance: retry later.
constexpr std::chrono::milliseconds kAcceptRetry{100};

Response response_of(HttpResponse answer) {
  Response response;
  response.result(answer.status);
  if (!answer.body.empty()) response.set(http::field::content_type, answer.content_type);
  response.body() = std::move(answer.body);
  return response;
}

Response refusal(unsigned status, const std::string& why) {
  // The message may contain text of a client that is not UTF-8.
  const auto replace = nlohmann::json::error_handler_t::replace;
  return response_of({.status = status, .body = nlohmann::json{{"error", why}}.dump(-1, ' ', false, replace) + "\n"});
}

Response refusal_of(const HttpRoutes::Found& found, const std::string& method, const std::string& path) {
  if (found.allowed.empty()) return refusal(404, "there is no path " + path);
  Response response = refusal(405, path + " does not have the method " + method + "; it has " + found.allowed);
  response.set(http::field::allow, found.allowed);
  return response;
}

// `error`: why no request could be read. None when no client waits for an answer.
std::optional<Response> refusal_of(const beast::error_code& error, const HttpLimits& limits) {
  if (error.category() != http::make_error_code(http::error::end_of_stream).category() ||
      error == http::error::end_of_stream)
    return std::nullopt;
  if (error == http::error::body_limit)
    return refusal(413, "the body is longer than " + std::to_string(limits.body_bytes) + " bytes");
  if (error == http::error::header_limit) return refusal(431, "the header is too long");
  return refusal(400, "this is not an HTTP request: " + error.message());
}

asio::awaitable<Response> answer(const HttpRoutes& routes, http::request<http::string_body> request) {
  const std::string target(request.target());
  const size_t question = std::min(target.find('?'), target.size());
  const std::string path = target.substr(0, question);
  HttpRoutes::Found found = routes.find(request.method_string(), path);
  if (found.route == nullptr) co_return refusal_of(found, std::string(request.method_string()), path);
  HttpRequest asked{.method = std::string(request.method_string()),
                    .parameters = std::move(found.parameters),
                    .query = parse_query(std::string_view(target).substr(std::min(question + 1, target.size()))),
                    .body = std::move(request.body())};
  try {
    co_return response_of(co_await found.route->handler(std::move(asked)));
  } catch (const HttpError& error) {
    co_return refusal(error.status(), error.what());
  } catch (const std::exception& error) {
    co_return refusal(500, error.what());
  }
}

template <class Stream>
Task send(Stream& stream, Response response, const HttpLimits& limits, beast::error_code& error) {
  response.set(http::field::server, "nvmf-p2p");
  response.prepare_payload();
  stream.expires_after(limits.timeout);
  co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
}

// The requests of one connection, one after the other. `is_full`: the limit of connections is reached.
template <class Stream, class Service>
Task converse(Stream& stream, const Service& service, bool is_full) {
  const HttpLimits& limits = service.limits;
  beast::error_code error;
  if (is_full) co_return co_await send(stream, refusal(503, "too many connections; try again"), limits, error);
  beast::flat_buffer buffer;
  for (bool keep_alive = true; keep_alive;) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(limits.body_bytes);
    stream.expires_after(limits.timeout);
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      std::optional<Response> refused = refusal_of(error, limits);
      if (refused) co_await send(stream, std::move(*refused), limits, error);
      co_return;
    }
    stream.expires_never();
    const unsigned version = parser.get().version();
    keep_alive = parser.get().keep_alive();
    Response response = co_await answer(service.routes, parser.release());
    keep_alive = keep_alive && !service.closed;
    response.version(version);
    response.keep_alive(keep_alive);
    co_await send(stream, std::move(response), limits, error);
    if (error) co_return;
  }
}

template <class Socket, class Service>
Task session(Socket socket, std::shared_ptr<Service> service) {
  const bool is_full = service->connections >= service->limits.connections;
  ++service->connections;
  beast::basic_stream<typename Socket::protocol_type> stream(std::move(socket));
  co_await converse(stream, *service, is_full);
  beast::error_code ignored;
  stream.socket().shutdown(Socket::shutdown_send, ignored);
  --service->connections;
}

template <class Acceptor, class Service>
Task accept(std::shared_ptr<Acceptor> acceptor, std::shared_ptr<Service> service) {
  asio::steady_timer pause(acceptor->get_executor());
  while (!service->closed) {
    beast::error_code error;
    auto socket = co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (service->closed) co_return;
    if (!error) {
      asio::co_spawn(acceptor->get_executor(), session(std::move(socket), service), asio::detached);
      continue;
    }
    pause.expires_after(kAcceptRetry);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

}  // namespace

HttpServer::HttpServer(HttpRoutes routes, HttpLimits limits)
    : service_(std::make_shared<Service>(Service{.routes = std::move(routes), .limits = limits})) {}

HttpServer::~HttpServer() {
  service_->closed = true;
  for (const auto& close : service_->close_acceptors) close();
}

template <class Acceptor>
void HttpServer::serve_on(Acceptor acceptor) {
  const auto shared = std::make_shared<Acceptor>(std::move(acceptor));
  service_->close_acceptors.push_back([weak = std::weak_ptr(shared)] {
    beast::error_code ignored;
    if (const auto open = weak.lock()) open->close(ignored);
  });
  asio::co_spawn(shared->get_executor(), accept(shared, service_), asio::detached);
}

void HttpServer::serve(asio::local::stream_protocol::acceptor acceptor) { serve_on(std::move(acceptor)); }

void HttpServer::serve(asio::ip::tcp::acceptor acceptor) { serve_on(std::move(acceptor)); }

}  // namespace nvmf::daemon
