#include "target/daemon/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nvmf::daemon {

// A connection that is served.
struct HttpSession {
  using Clock = std::chrono::steady_clock;

  std::string address;                               // of the client; empty on a UNIX socket
  std::optional<HttpPeer> peer{};                    // on a UNIX socket
  std::optional<Clock::time_point> waiting_since{};  // none: its request is being answered
  bool has_asked = false;                            // its request has arrived, its answer not yet
  bool closing = false;
  std::function<void()> close{};
};

struct HttpServer::Service {
  HttpRoutes routes;
  HttpLimits limits;
  Audit audit;
  std::list<HttpSession> sessions{};
  uint32_t streams = 0;  // answers that go on
  uint32_t refused = 0;  // connections that are being told that the server is full
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
// What a client still sends after it was refused is read for this long, and so much of it: a connection that is closed
// over unread data is reset, and the client loses the answer.
constexpr std::chrono::milliseconds kLinger{1'000};
constexpr size_t kLingerBytes = 1U << 20U;

Response response_of(HttpResponse answer) {
  Response response;
  response.result(answer.status);
  if (!answer.body.empty()) response.set(http::field::content_type, answer.content_type);
  if (!answer.etag.empty()) response.set(http::field::etag, answer.etag);
  for (const auto& [name, value] : answer.headers) response.set(name, value);
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

struct Target {
  std::string method;
  std::string path;
  std::string query;
};

template <class Request>
Target target_of(const Request& request) {
  const std::string target(request.target());
  const size_t question = std::min(target.find('?'), target.size());
  return {std::string(request.method_string()), target.substr(0, question),
          target.substr(std::min(question + 1, target.size()))};
}

// A request whose header has arrived: either it has a route, or it is refused already.
struct Asked {
  const HttpRoutes::Route* route = nullptr;
  HttpRequest request{};
  std::optional<Response> refusal{};
};

// `has_body`: more than the header is coming. Nothing of it is read for a route that takes none.
Asked ask(const HttpRoutes& routes, const Target& target, bool has_body, const HttpLimits& limits) {
  if (!limits.read_only.empty() && target.method != "GET") return {.refusal = refusal(403, limits.read_only)};
  HttpRoutes::Found found = routes.find(target.method, target.path);
  Asked asked{.route = found.route};
  if (found.route == nullptr) {
    asked.refusal = refusal_of(found, target.method, target.path);
    return asked;
  }
  asked.request = {.method = target.method, .parameters = std::move(found.parameters), .query = {}, .body = {}};
  try {
    take_query(*found.route, target.query, asked.request);
    if (has_body && found.route->takes.body == HttpTakes::Body::Nothing) take_body(*found.route, "body", asked.request);
  } catch (const HttpError& error) {
    asked.refusal = refusal(error.status(), error.what());
  }
  return asked;
}

void take_if_match(std::string version, Asked& asked) {
  if (asked.refusal) return;
  const HttpRoutes::Route& route = *asked.route;
  asked.request.if_match = std::move(version);
  if (!route.takes.if_match && route.method != "GET")
    asked.refusal = refusal(400, route.method + " " + route.pattern + " takes no If-Match");
}

// A response, and what follows it.
struct Answer {
  Response response;
  std::function<asio::awaitable<std::string>()> more{};
  std::function<void()> after{};
};

asio::awaitable<Answer> answer(Asked asked, std::string body) {
  try {
    take_body(*asked.route, std::move(body), asked.request);
    HttpResponse made = co_await asked.route->handler(std::move(asked.request));
    Answer answered{.response = {}, .more = std::move(made.more), .after = std::move(made.after)};
    answered.response = response_of(std::move(made));
    co_return answered;
  } catch (const HttpError& error) {
    co_return Answer{.response = refusal(error.status(), error.what())};
  } catch (const std::exception& error) {
    co_return Answer{.response = refusal(500, error.what())};
  }
}

template <class Stream>
Task send(Stream& stream, Response response, const HttpLimits& limits, beast::error_code& error, bool is_head = false) {
  response.set(http::field::server, "nvmf-p2p");
  response.prepare_payload();
  if (is_head) response.body().clear();  // the length stays that of the answer to GET
  stream.expires_after(limits.timeout);
  co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
}

// The last answer of a connection whose client may still be sending.
template <class Stream>
Task send_last(Stream& stream, Response response, const HttpLimits& limits) {
  response.keep_alive(false);
  beast::error_code error;
  co_await send(stream, std::move(response), limits, error);
  if (error) co_return;
  stream.socket().shutdown(asio::socket_base::shutdown_send, error);
  stream.expires_after(kLinger);
  std::array<char, 4096> rest{};
  for (size_t bytes = 0; !error && bytes < kLingerBytes;)
    bytes += co_await stream.async_read_some(asio::buffer(rest), asio::redirect_error(asio::use_awaitable, error));
}

// Sends an answer that goes on, in chunks, and ends the connection. A part that the client does not take within the
// time limit ends it, too.
template <class Stream>
Task send_stream(Stream& stream, Answer answer, const HttpLimits& limits) {
  Response& response = answer.response;
  response.set(http::field::server, "nvmf-p2p");
  response.set(http::field::cache_control, "no-store");
  response.keep_alive(false);
  response.chunked(true);
  std::string part = std::exchange(response.body(), {});
  http::response_serializer<http::string_body> head(response);
  beast::error_code error;
  stream.expires_after(limits.timeout);
  co_await http::async_write_header(stream, head, asio::redirect_error(asio::use_awaitable, error));
  if (part.empty() && !error) part = co_await answer.more();
  while (!error && !part.empty()) {
    stream.expires_after(limits.timeout);
    const auto chunk = http::make_chunk(asio::buffer(part));
    co_await asio::async_write(stream, chunk, asio::redirect_error(asio::use_awaitable, error));
    stream.expires_never();
    if (!error) part = co_await answer.more();
  }
  stream.expires_after(limits.timeout);
  if (!error)
    co_await asio::async_write(stream, http::make_chunk_last(), asio::redirect_error(asio::use_awaitable, error));
}

template <class Service>
void tell(const Service& service, HttpAudit audit, const Response& response) {
  if (!service.audit || audit.method == "GET") return;
  audit.status = response.result_int();
  audit.answer = response.body();
  service.audit(audit);
}

// The answer that goes on, if there is room for one more.
template <class Stream, class Service>
Task stream_or_refuse(Stream& stream, Service& service, Answer answer) {
  if (service.streams >= service.limits.streams)
    co_return co_await send_last(stream, refusal(503, "too many clients follow events; try again later"),
                                 service.limits);
  struct Counted {
    explicit Counted(uint32_t& streams) : streams_(streams) { ++streams_; }
    ~Counted() { --streams_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

   private:
    uint32_t& streams_;
  };
  const Counted counted(service.streams);
  co_await send_stream(stream, std::move(answer), service.limits);
}

// The requests of one connection, one after the other.
template <class Stream, class Service>
Task converse(Stream& stream, Service& service, HttpSession& session) {
  const HttpLimits& limits = service.limits;
  beast::error_code error;
  beast::flat_buffer buffer;
  for (bool keep_alive = true; keep_alive;) {
    session.waiting_since = HttpSession::Clock::now();
    session.has_asked = false;
    http::request_parser<http::string_body> parser;
    parser.body_limit(limits.body_bytes);
    stream.expires_after(limits.timeout);
    co_await http::async_read_header(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    Asked asked;
    HttpAudit audit{.peer = session.peer};
    if (!error) {
      const bool has_body = parser.content_length().value_or(0) != 0 || parser.chunked();
      audit.method = std::string(parser.get().method_string());
      audit.target = std::string(parser.get().target());
      asked = ask(service.routes, target_of(parser.get()), has_body, limits);
      const auto if_match = parser.get().find(http::field::if_match);
      if (if_match != parser.get().end()) take_if_match(std::string(if_match->value()), asked);
      const auto last_event_id = parser.get().find("Last-Event-ID");
      if (last_event_id != parser.get().end()) asked.request.last_event_id = std::string(last_event_id->value());
      if (asked.refusal && has_body) {
        tell(service, std::move(audit), *asked.refusal);
        co_return co_await send_last(stream, *std::move(asked.refusal), limits);
      }
      if (!parser.is_done())
        co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) {
      std::optional<Response> refused = refusal_of(error, limits);
      audit.method = std::string(parser.get().method_string());  // of a header that was read, perhaps not to its end
      audit.target = std::string(parser.get().target());
      if (refused && !audit.method.empty()) tell(service, std::move(audit), *refused);
      if (refused) co_await send_last(stream, *std::move(refused), limits);
      co_return;
    }
    stream.expires_never();
    session.waiting_since.reset();
    session.has_asked = true;
    const unsigned version = parser.get().version();
    keep_alive = parser.get().keep_alive();
    const bool is_head = parser.get().method() == http::verb::head;
    audit.body = std::move(parser.release().body());
    Answer answered;
    if (asked.refusal)
      answered.response = *std::move(asked.refusal);
    else
      answered = co_await answer(std::move(asked), audit.body);
    Response& response = answered.response;
    tell(service, std::move(audit), response);
    if (answered.more) co_return co_await stream_or_refuse(stream, service, std::move(answered));
    keep_alive = keep_alive && !service.closed && !answered.after;
    response.version(version);
    response.keep_alive(keep_alive);
    session.waiting_since = HttpSession::Clock::now();
    co_await send(stream, std::move(response), limits, error, is_head);
    if (answered.after) answered.after();
    if (error) co_return;
  }
}

std::string address_of(const asio::ip::tcp::socket& socket) {
  beast::error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  return gone ? "" : peer.address().to_string();
}

std::string address_of(const asio::local::stream_protocol::socket& /*socket*/) { return {}; }

std::optional<HttpPeer> peer_of(const asio::ip::tcp::socket& /*socket*/) { return std::nullopt; }

std::optional<HttpPeer> peer_of(asio::local::stream_protocol::socket& socket) {
  ucred who{};
  socklen_t length = sizeof who;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return std::nullopt;
  return HttpPeer{.uid = who.uid, .pid = who.pid};
}

// True when one more connection from `address` may be served. That may cost another its connection: of the address that
// has most, first one that has not asked yet, and of these the one that has kept the server waiting longest.
template <class Service>
bool make_room(Service& service, const std::string& address) {
  const auto is_open = [](const HttpSession& one) { return !one.closing; };
  const auto is_of = [&](const HttpSession& one) { return is_open(one) && !address.empty() && one.address == address; };
  const bool address_is_full = std::ranges::count_if(service.sessions, is_of) >= service.limits.connections_of_address;
  if (!address_is_full && std::ranges::count_if(service.sessions, is_open) < service.limits.connections) return true;
  const auto now = HttpSession::Clock::now();
  const auto rank_of = [&](const HttpSession& one) {
    const auto is_neighbour = [&](const HttpSession& other) { return is_open(other) && other.address == one.address; };
    return std::tuple(std::ranges::count_if(service.sessions, is_neighbour), !one.has_asked, now - *one.waiting_since);
  };
  HttpSession* slowest = nullptr;
  for (HttpSession& one : service.sessions) {
    if (!one.waiting_since || !is_open(one) || (address_is_full && !is_of(one))) continue;
    if (now - *one.waiting_since < service.limits.patience) continue;
    if (slowest == nullptr || rank_of(one) > rank_of(*slowest)) slowest = &one;
  }
  if (slowest == nullptr) return false;
  slowest->closing = true;
  slowest->close();
  return true;
}

// Nobody is waited for: neither to take the answer, nor to send the rest of the request.
template <class Socket>
void refuse_at_once(Socket& socket, Response response) {
  response.set(http::field::server, "nvmf-p2p");
  response.keep_alive(false);
  response.prepare_payload();
  std::ostringstream text;
  text << response;
  beast::error_code ignored;
  std::array<char, 16384> request{};
  socket.non_blocking(true, ignored);
  socket.receive(asio::buffer(request), 0, ignored);
  socket.send(asio::buffer(text.str()), 0, ignored);
  socket.shutdown(asio::socket_base::shutdown_send, ignored);
}

template <class Socket, class Service>
Task refuse(Socket socket, std::shared_ptr<Service> service) {
  Response response = refusal(503, "too many connections; try again");
  if (service->refused >= service->limits.connections) co_return refuse_at_once(socket, std::move(response));
  ++service->refused;
  beast::basic_stream<typename Socket::protocol_type> stream(std::move(socket));
  co_await send_last(stream, std::move(response), service->limits);
  --service->refused;
}

// A session in the list of the service, as long as this object lives.
template <class Service>
class Registered {
 public:
  Registered(Service& service, HttpSession session)
      : sessions_(service.sessions), session_(sessions_.insert(sessions_.end(), std::move(session))) {}
  ~Registered() { sessions_.erase(session_); }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;
  HttpSession& get() const { return *session_; }

 private:
  std::list<HttpSession>& sessions_;
  std::list<HttpSession>::iterator session_;
};

template <class Socket, class Service>
Task serve_session(Socket socket, std::shared_ptr<Service> service) {
  const std::string address = address_of(socket);
  if (!make_room(*service, address)) co_return co_await refuse(std::move(socket), service);
  beast::basic_stream<typename Socket::protocol_type> stream(std::move(socket));
  const std::optional<HttpPeer> peer = peer_of(stream.socket());
  const Registered<Service> session(*service,
                                    {.address = address, .peer = peer, .close = [&stream] { stream.close(); }});
  co_await converse(stream, *service, session.get());
  beast::error_code ignored;
  stream.socket().shutdown(Socket::shutdown_send, ignored);
}

template <class Acceptor, class Service>
Task accept(std::shared_ptr<Acceptor> acceptor, std::shared_ptr<Service> service) {
  asio::steady_timer pause(acceptor->get_executor());
  while (!service->closed) {
    beast::error_code error;
    auto socket = co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (service->closed) co_return;
    if (!error) {
      asio::co_spawn(acceptor->get_executor(), serve_session(std::move(socket), service), asio::detached);
      continue;
    }
    pause.expires_after(kAcceptRetry);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

}  // namespace

HttpServer::HttpServer(HttpRoutes routes, HttpLimits limits, Audit audit)
    : service_(std::make_shared<Service>(
          Service{.routes = std::move(routes), .limits = limits, .audit = std::move(audit)})) {}

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
