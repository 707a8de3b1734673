// The address of the metrics, as Prometheus uses it.
#include "target/daemon/metrics_server.h"

#include <doctest/doctest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace nvmf::daemon {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

config::Metrics at(const tcp::endpoint& endpoint) {
  config::Metrics where;
  where.address = endpoint.address().to_string();
  where.port = endpoint.port();
  return where;
}

std::string ask(const tcp::endpoint& endpoint, const std::string& path) {
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect(endpoint);
  asio::write(socket, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  std::string answer;
  boost::system::error_code end;
  asio::read(socket, asio::dynamic_buffer(answer), end);
  return answer;
}

// The server's control thread is this one while another asks.
std::string answer_of(asio::io_context& io, const tcp::endpoint& endpoint, const std::string& path) {
  std::string answer;
  std::thread client([&] {
    answer = ask(endpoint, path);
    io.stop();
  });
  io.restart();
  io.run();
  client.join();
  return answer;
}

TEST_CASE("Prometheus asks for /metrics: the text of now, in its format; for anything else: not found") {
  asio::io_context io;
  const tcp::endpoint endpoint = [&] {
    return tcp::acceptor(io, {asio::ip::address_v4::loopback(), 0}).local_endpoint();
  }();
  int asked = 0;
  std::vector<std::string> unready = {"port 1 is waiting: no device"};
  const MetricsServer server(
      io, at(endpoint), [&]() -> asio::awaitable<std::string> { co_return "up " + std::to_string(++asked) + "\n"; },
      [&] { return unready; }, [] { return std::string("{}"); });
  REQUIRE(server.listening());
  const std::string first = answer_of(io, endpoint, "/metrics");
  CHECK(first.starts_with("HTTP/1.1 200"));
  CHECK(first.find("text/plain; version=0.0.4") != std::string::npos);
  CHECK(first.ends_with("\r\n\r\nup 1\n"));
  CHECK(answer_of(io, endpoint, "/metrics").ends_with("up 2\n"));
  CHECK(answer_of(io, endpoint, "/favicon.ico").starts_with("HTTP/1.1 404"));
  CHECK(answer_of(io, endpoint, "/healthz").starts_with("HTTP/1.1 200"));
  const std::string not_ready = answer_of(io, endpoint, "/readyz");
  CHECK(not_ready.starts_with("HTTP/1.1 503"));
  CHECK(not_ready.ends_with("\r\n\r\nport 1 is waiting: no device\n"));
  unready.clear();
  CHECK(answer_of(io, endpoint, "/readyz").starts_with("HTTP/1.1 200"));
}

TEST_CASE("slow clients of several addresses have all connections: a scrape is answered") {
  asio::io_context io;
  const tcp::endpoint endpoint = [&] {
    return tcp::acceptor(io, {asio::ip::address_v4::loopback(), 0}).local_endpoint();
  }();
  const MetricsServer server(
      io, at(endpoint), []() -> asio::awaitable<std::string> { co_return "up 1\n"; },
      [] { return std::vector<std::string>{}; }, [] { return std::string("{}"); });
  std::vector<tcp::socket> slow;
  for (int client = 0; client < 40; ++client) {
    slow.emplace_back(io, tcp::v4());
    slow.back().bind({asio::ip::make_address("127.0.0." + std::to_string(2 + client / 8)), 0});
    slow.back().connect(endpoint);
    while (io.poll_one() != 0) {
    }
  }
  CHECK(answer_of(io, endpoint, "/metrics").ends_with("up 1\n"));
}

// The header's value.
std::string header(const std::string& answer, const std::string& name) {
  const size_t begin = answer.find("\r\n" + name + ": ");
  if (begin == std::string::npos) return {};
  const size_t value = begin + name.size() + 4;
  return answer.substr(value, answer.find("\r\n", value) - value);
}

TEST_CASE("A browser asks for the page and its content: it may run what is in the page and ask this server, no more") {
  asio::io_context io;
  const tcp::endpoint endpoint = [&] {
    return tcp::acceptor(io, {asio::ip::address_v4::loopback(), 0}).local_endpoint();
  }();
  const MetricsServer server(
      io, at(endpoint), []() -> asio::awaitable<std::string> { co_return ""; },
      [] { return std::vector<std::string>{}; }, [] { return std::string(R"({"version": "1"})"); });
  const std::string page = answer_of(io, endpoint, "/");
  CHECK(page.starts_with("HTTP/1.1 200"));
  CHECK(header(page, "Content-Type") == "text/html; charset=utf-8");
  CHECK(page.find("</html>") != std::string::npos);
  const std::string content = answer_of(io, endpoint, "/page.json");
  CHECK(header(content, "Content-Type") == "application/json");
  CHECK(content.ends_with(R"({"version": "1"})"));
  for (const std::string& answer : {page, content}) {
    const std::string policy = header(answer, "Content-Security-Policy");
    CHECK(policy.starts_with("default-src 'none'; script-src 'sha256-"));
    CHECK(policy.find("unsafe") == std::string::npos);
    CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
    CHECK(header(answer, "X-Content-Type-Options") == "nosniff");
    CHECK(header(answer, "Set-Cookie").empty());
  }
  CHECK(answer_of(io, endpoint, "/?x=1").starts_with("HTTP/1.1 400"));
}

TEST_CASE("An address that is taken at the start is served once it is free") {
  asio::io_context io;
  std::optional<tcp::acceptor> other(std::in_place, io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const tcp::endpoint endpoint = other->local_endpoint();
  const MetricsServer server(
      io, at(endpoint), []() -> asio::awaitable<std::string> { co_return "up 1\n"; },
      [] { return std::vector<std::string>{}; }, [] { return std::string("{}"); });
  CHECK_FALSE(server.listening());
  CHECK_FALSE(server.fault().empty());
  other.reset();
  while (!server.listening()) io.run_one();
  CHECK(server.fault().empty());
  CHECK(answer_of(io, endpoint, "/metrics").ends_with("up 1\n"));
}

}  // namespace
}  // namespace nvmf::daemon
