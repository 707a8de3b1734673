// The HTTP server as a client on a real socket meets it.
#include "target/daemon/http_server.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/unit/daemon/http_fixture.h"

namespace nvmf::daemon {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using asio::ip::tcp;

HttpRoutes routes() {
  HttpRoutes routes;
  routes.add("GET", "/v1/status", {.query = {"verbose", "other"}}, [](const HttpRequest& request) {
    const auto verbose = request.query.find("verbose");
    return HttpResponse{.body = verbose == request.query.end() ? "short" : "long " + verbose->second};
  });
  routes.add("GET", "/metrics", [](const HttpRequest&) {
    return HttpResponse{.content_type = "text/plain; version=0.0.4", .body = "up 1\n"};
  });
  routes.add("GET", "/v1/hosts/{nqn}",
             [](const HttpRequest& request) { return HttpResponse{.body = request.parameters.at("nqn")}; });
  routes.add("DELETE", "/v1/hosts/{nqn}", [](const HttpRequest&) { return HttpResponse{.status = 204}; });
  routes.add("POST", "/v1/echo", {.body = HttpTakes::Body::Text},
             [](const HttpRequest& request) { return HttpResponse{.body = request.body}; });
  routes.add("POST", "/v1/refused", [](const HttpRequest&) -> HttpResponse { throw HttpError(409, "not \xff now"); });
  routes.add("POST", "/v1/broken", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("lost"); });
  routes.add_waiting("POST", "/v1/reload", [](HttpRequest) -> asio::awaitable<HttpResponse> {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(60));
    co_await timer.async_wait(asio::use_awaitable);
    co_return HttpResponse{.body = "reloaded"};
  });
  routes.add("GET", "/v1/parts", [](const HttpRequest& request) {
    const auto left = std::make_shared<int>(2);
    const std::string last = request.last_event_id.value_or("none");
    return HttpResponse{.body = last,
                        .more = [left]() -> asio::awaitable<std::string> { co_return (*left)-- > 0 ? "part" : ""; }};
  });
  routes.add("GET", "/v1/endless", [](const HttpRequest&) {
    return HttpResponse{.body = "first", .more = []() -> asio::awaitable<std::string> {
                          asio::steady_timer never(co_await asio::this_coro::executor,
                                                   asio::steady_timer::time_point::max());
                          co_await never.async_wait(asio::use_awaitable);
                          co_return "";
                        }};
  });
  return routes;
}

template <class Protocol>
class Client {
 public:
  explicit Client(const typename Protocol::endpoint& endpoint) : socket_(io_) { socket_.connect(endpoint); }
  void send(const std::string& bytes) { asio::write(socket_, asio::buffer(bytes)); }
  // Until the server closes.
  std::string receive() {
    std::string received;
    boost::system::error_code error;
    asio::read(socket_, asio::dynamic_buffer(received), error);
    return received;
  }
  void receive_until(const std::string& end) {
    std::string received;
    asio::read_until(socket_, asio::dynamic_buffer(received), end);
  }
  std::string ask(const std::string& bytes) {
    send(bytes);
    return receive();
  }

 private:
  asio::io_context io_;
  typename Protocol::socket socket_;
};

std::string ask(const Served& served, const std::string& head, const std::string& body = "") {
  return Client<Local>(Local::endpoint(served.path()))
      .ask(head + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body);
}

std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

bool says(const std::string& answer, const std::string& what) { return answer.find(what) != std::string::npos; }

TEST_CASE("client asks for a path: its handler answers, with parameters and query decoded") {
  const Served served(routes());
  const std::string answer = ask(served, "GET /v1/status");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(says(answer, "Content-Type: application/json\r\n"));
  CHECK(body_of(answer) == "short");
  CHECK(body_of(ask(served, "GET /v1/status?verbose=a%26b&other")) == "long a&b");
  CHECK(body_of(ask(served, "GET /v1/hosts/nqn.2014-08.org%3Aa%2Fb")) == "nqn.2014-08.org:a/b");
  CHECK(body_of(ask(served, "GET /v1/hosts/100%")) == "100%");
  CHECK(body_of(ask(served, "POST /v1/echo", "{\"a\": 1}")) == "{\"a\": 1}");
  CHECK(ask(served, "DELETE /v1/hosts/a").starts_with("HTTP/1.1 204 "));
}

TEST_CASE("a handler that waits answers when it is done, though that takes longer than a client may") {
  const Served served(routes(), {.timeout = std::chrono::milliseconds(20)});
  CHECK(body_of(ask(served, "POST /v1/reload")) == "reloaded");
}

TEST_CASE("an answer that goes on comes in chunks until its last part") {
  const Served served(routes());
  const std::string answer = Client<Local>(Local::endpoint(served.path()))
                                 .ask("GET /v1/parts HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 7\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(says(answer, "Transfer-Encoding: chunked\r\n"));
  CHECK(body_of(answer) == "1\r\n7\r\n4\r\npart\r\n4\r\npart\r\n0\r\n\r\n");
}

TEST_CASE("clients whose answers go on leave room for others: one too many is refused, other requests are not") {
  const Served served(routes(), {.streams = 2});
  std::vector<std::unique_ptr<Client<Local>>> followers;
  for (int i = 0; i < 2; ++i) {
    followers.push_back(std::make_unique<Client<Local>>(Local::endpoint(served.path())));
    followers.back()->send("GET /v1/endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    followers.back()->receive_until("first");
  }
  CHECK(ask(served, "GET /v1/endless").starts_with("HTTP/1.1 503 "));
  CHECK(body_of(ask(served, "GET /v1/status")) == "short");
}

TEST_CASE("client on TCP: the same routes, each with its content type") {
  const Served served(routes());
  const std::string answer = Client<tcp>(served.endpoint()).ask("GET /metrics HTTP/1.0\r\n\r\n");
  CHECK(says(answer, "Content-Type: text/plain; version=0.0.4\r\n"));
  CHECK(body_of(answer) == "up 1\n");
}

TEST_CASE("client asks what cannot be: the status and a message say why") {
  const Served served(routes(), {.body_bytes = 8});
  std::string answer = ask(served, "GET /v2/status");
  CHECK(answer.starts_with("HTTP/1.1 404 "));
  CHECK(body_of(answer) == "{\"error\":\"there is no path /v2/status\"}\n");
  CHECK(ask(served, "GET /v1/hosts/").starts_with("HTTP/1.1 404 "));
  answer = ask(served, "PUT /v1/hosts/a");
  CHECK(answer.starts_with("HTTP/1.1 405 "));
  CHECK(says(answer, "Allow: GET, DELETE\r\n"));
  CHECK(ask(served, "POST /v1/echo", "123456789").starts_with("HTTP/1.1 413 "));
  answer = ask(served, "POST /v1/refused");
  CHECK(answer.starts_with("HTTP/1.1 409 "));
  CHECK(body_of(answer) == "{\"error\":\"not \xef\xbf\xbd now\"}\n");
  answer = ask(served, "POST /v1/broken");
  CHECK(answer.starts_with("HTTP/1.1 500 "));
  CHECK(body_of(answer) == "{\"error\":\"lost\"}\n");
  Client<Local> confused{Local::endpoint(served.path())};
  CHECK(confused.ask("what is this\r\n\r\n").starts_with("HTTP/1.1 400 "));
  Client<Local> talkative{Local::endpoint(served.path())};
  CHECK(talkative.ask("GET /v1/status HTTP/1.1\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n")
            .starts_with("HTTP/1.1 431 "));
}

TEST_CASE("an answer to HEAD has no body") {
  const Served served(routes());
  const std::string answer = Client<tcp>(served.endpoint()).ask("HEAD /metrics HTTP/1.0\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.0 405 "));
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("client keeps its connection: requests are answered one after the other until it says close") {
  const Served served(routes());
  Client<Local> client{Local::endpoint(served.path())};
  const std::string answers = client.ask(
      "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /v1/hosts/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK(says(answers, "short"));
  CHECK(body_of(body_of(answers)) == "b");
}

TEST_CASE("client that says nothing is let go after the time-out; so is one that stops half-way") {
  const Served served(routes(), {.timeout = std::chrono::milliseconds(20)});
  Client<Local> silent{Local::endpoint(served.path())};
  CHECK(silent.receive().empty());
  Client<tcp> half(served.endpoint());
  CHECK(half.ask("POST /v1/echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nab").empty());
}

TEST_CASE("more clients than the limit: refused with 503 until one goes") {
  const Served served(routes(), {.connections = 1, .patience = std::chrono::hours(1)});
  {
    Client<Local> first{Local::endpoint(served.path())};
    first.send("GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
    first.receive_until("short");
    // However many are refused already, and say nothing.
    std::vector<std::unique_ptr<Client<Local>>> silent;
    for (int i = 0; i < 3; ++i) silent.push_back(std::make_unique<Client<Local>>(Local::endpoint(served.path())));
    for (int i = 0; i < 3; ++i) {
      CHECK(Client<tcp>(served.endpoint()).receive().starts_with("HTTP/1.1 503 "));
      CHECK(Client<Local>(Local::endpoint(served.path())).receive().starts_with("HTTP/1.1 503 "));
    }
  }
  std::string answer;
  while (!answer.starts_with("HTTP/1.1 200 ")) answer = ask(served, "GET /v1/status");
}

TEST_CASE("server is full of clients that say nothing: the slowest goes for one that asks") {
  const Served served(routes(), {.connections = 2, .patience = std::chrono::milliseconds(0)});
  Client<tcp> silent(served.endpoint());
  Client<tcp> slow(served.endpoint());
  slow.send("GET /v1/st");
  CHECK(body_of(Client<tcp>(served.endpoint()).ask("GET /v1/status HTTP/1.0\r\n\r\n")) == "short");
  CHECK(silent.receive().empty());
}

tcp::socket connection_from(asio::io_context& io, const char* address, const tcp::endpoint& to) {
  tcp::socket socket(io, tcp::v4());
  socket.bind({asio::ip::make_address(address), 0});
  socket.connect(to);
  return socket;
}

TEST_CASE("slow clients of several addresses that come again and again: one that is alone at its address is served") {
  const Served served(routes(),
                      {.connections = 4, .connections_of_address = 2, .patience = std::chrono::milliseconds(0)});
  asio::io_context io;
  std::vector<tcp::socket> slow;
  for (const char* const address : {"127.0.0.2", "127.0.0.3"})
    for (int i = 0; i < 2; ++i) slow.push_back(connection_from(io, address, served.endpoint()));
  Client<tcp> scraper(served.endpoint());
  scraper.send("GET /metrics HT");
  for (int i = 0; i < 4; ++i)
    for (const char* const address : {"127.0.0.2", "127.0.0.3"})
      slow.push_back(connection_from(io, address, served.endpoint()));
  CHECK(body_of(Client<tcp>(served.endpoint()).ask("GET /v1/status HTTP/1.0\r\n\r\n")) == "short");
  scraper.send("TP/1.0\r\n\r\n");
  CHECK(scraper.receive().ends_with("up 1\n"));
}

TEST_CASE("one address has its bound of connections: more are refused, clients from elsewhere are not") {
  const Served served(routes(), {.connections_of_address = 1, .patience = std::chrono::hours(1)});
  Client<tcp> first(served.endpoint());
  first.send("GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
  first.receive_until("short");
  CHECK(Client<tcp>(served.endpoint()).receive().starts_with("HTTP/1.1 503 "));
  CHECK(body_of(ask(served, "GET /v1/status")) == "short");
}

TEST_CASE("client sends a body where none is taken: refused before the body has come") {
  const Served served(routes());
  Client<tcp> client(served.endpoint());
  client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  client.receive_until("GET /metrics takes no body");
  Client<Local> chunked{Local::endpoint(served.path())};
  chunked.send("GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunked.receive_until("GET /metrics takes no body");
}

TEST_CASE("a version of what is read: If-Match arrives, ETag is answered") {
  HttpRoutes versions;
  versions.add("PUT", "/v1/thing", {.if_match = true}, [](const HttpRequest& request) {
    return HttpResponse{.etag = "\"2\"", .body = request.if_match.value_or("none")};
  });
  const Served served(std::move(versions));
  CHECK(body_of(ask(served, "PUT /v1/thing")) == "none");
  Client<Local> client{Local::endpoint(served.path())};
  const std::string answer =
      client.ask("PUT /v1/thing HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-Match: \"1\"\r\n\r\n");
  CHECK(says(answer, "ETag: \"2\"\r\n"));
  CHECK(body_of(answer) == "\"1\"");
}

TEST_CASE("client makes a change depend on a version where that is not possible: refused, not done all the same") {
  const Served served(routes());
  Client<Local> client{Local::endpoint(served.path())};
  CHECK(says(client.ask("POST /v1/echo HTTP/1.0\r\nIf-Match: \"1\"\r\nContent-Length: 4\r\n\r\ntext"),
             "POST /v1/echo takes no If-Match"));
}

TEST_CASE("every request that may change something is told to the audit, with who sent it and what became of it") {
  std::vector<HttpAudit> told;
  std::mutex mutex;
  const auto audit = [&](const HttpAudit& one) {
    const std::lock_guard lock(mutex);
    told.push_back(one);
  };
  const Served served(routes(), {}, audit);
  ask(served, "GET /v1/status");
  ask(served, "POST /v1/echo", "text");
  ask(served, "POST /v1/echo?all=1", "text");
  Client<tcp>(served.endpoint()).ask("POST /v1/refused HTTP/1.0\r\n\r\n");
  const std::lock_guard lock(mutex);
  REQUIRE(told.size() == 3);
  CHECK(told[0].method == "POST");
  CHECK(told[0].target == "/v1/echo");
  CHECK(told[0].body == "text");
  CHECK(told[0].status == 200);
  REQUIRE(told[0].peer.has_value());
  CHECK(told[0].peer->uid == getuid());
  CHECK(told[0].peer->pid == getpid());
  CHECK(told[1].status == 400);
  CHECK(says(told[1].answer, "takes no parameter"));
  CHECK_FALSE(told[2].peer.has_value());
  CHECK(told[2].status == 409);
}

TEST_CASE("a read-only server answers GET, and 403 to every other method, whatever it asks for and brings") {
  const Served served(routes(), {.read_only = "only GET here"});
  CHECK(body_of(ask(served, "GET /v1/status")) == "short");
  for (const char* const head :
       {"POST /v1/echo", "DELETE /v1/hosts/a", "PUT /v1/hosts/a", "POST /v2", "BREW /v1/echo"}) {
    const std::string answer = ask(served, head, "text");
    CHECK_MESSAGE(answer.starts_with("HTTP/1.1 403 "), head);
    CHECK(body_of(answer) == "{\"error\":\"only GET here\"}\n");
  }
  CHECK(ask(served, "POST /v1/reload").starts_with("HTTP/1.1 403 "));
  Client<Local> conditional{Local::endpoint(served.path())};
  CHECK(conditional.ask("PUT /v1/hosts/a HTTP/1.0\r\nIf-Match: \"1\"\r\n\r\n").starts_with("HTTP/1.0 403 "));
}

TEST_CASE("a change whose body is too long is told to the audit") {
  std::vector<unsigned> told;
  std::mutex mutex;
  const auto audit = [&](const HttpAudit& one) {
    const std::lock_guard lock(mutex);
    told.push_back(one.status);
  };
  const Served served(routes(), {}, audit);
  Client<tcp>(served.endpoint()).ask("POST /v1/echo HTTP/1.0\r\nContent-Length: 100000000\r\n\r\n");
  const std::lock_guard lock(mutex);
  CHECK((told == std::vector<unsigned>{413}));
}

TEST_CASE("server is closed: no one connects any more, and the socket's file is gone") {
  Served served(routes());
  CHECK(body_of(ask(served, "GET /v1/status")) == "short");
  served.close();
  while (std::filesystem::exists(served.path())) std::this_thread::yield();
  CHECK_THROWS_AS(Client<Local>{Local::endpoint(served.path())}, boost::system::system_error);
  CHECK_THROWS_AS(Client<tcp>{served.endpoint()}, boost::system::system_error);
}

TEST_CASE("the socket has the mode that was asked for") {
  Scratch scratch;
  asio::io_context io;
  UnixSocketFile file(scratch.path() + "/socket");
  const auto acceptor = file.listen(io, {.mode = 0660});
  struct stat status {};
  REQUIRE(stat((scratch.path() + "/socket").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0660);
}

TEST_CASE("a socket that a dead daemon left is replaced, one that is served is not, nor does it go") {
  Scratch scratch;
  const std::string path = scratch.path() + "/socket";
  asio::io_context io;
  { Local::acceptor dead(io, Local::endpoint(path)); }
  REQUIRE(std::filesystem::exists(path));
  UnixSocketFile file(path);
  const auto acceptor = file.listen(io, {});
  {
    UnixSocketFile second(path);
    CHECK_THROWS_WITH_AS(
        second.listen(io, {}),
        ("cannot serve on " + path + ": another process serves there; stop it, or name another path").c_str(),
        std::runtime_error);
  }
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("owner or group that this machine does not have: said by name") {
  Scratch scratch;
  asio::io_context io;
  const std::string path = scratch.path() + "/socket";
  CHECK_THROWS_WITH_AS(UnixSocketFile(path).listen(io, {.owner = "no such user"}),
                       ("there is no user \"no such user\" to own " + path).c_str(), std::runtime_error);
  CHECK_THROWS_AS(UnixSocketFile(path).listen(io, {.group = "no such group"}), std::runtime_error);
  CHECK_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace nvmf::daemon
