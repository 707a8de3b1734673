// Bytes of a client on the sockets of the admin API and on the address of the metrics, which then sends no more. The
// first byte chooses which of them.
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "target/daemon/admin_api.h"
#include "target/daemon/http_server.h"
#include "tests/unit/daemon/fake_daemon.h"

namespace {

using namespace nvmf::daemon;
namespace asio = boost::asio;
using asio::local::stream_protocol;

constexpr size_t kMostBytes = 65'536;  // fit the socket's buffer
constexpr std::string_view kStream = "text/event-stream";

enum class Server : uint8_t { Admin, ReadOnly, Metrics };
constexpr uint8_t kServers = 3;

// Of the same kinds as those of the metrics' address.
HttpRoutes metrics_routes() {
  HttpRoutes routes;
  routes.add("GET", "/healthz", [](const HttpRequest&) { return HttpResponse{.content_type = "text/plain"}; });
  routes.add_waiting("GET", "/metrics",
                     [](HttpRequest) -> asio::awaitable<HttpResponse> { co_return HttpResponse{.body = "up 1\n"}; });
  return routes;
}

// Without a file: the kernel forgets the name with the socket.
stream_protocol::endpoint abstract_name() {
  std::string name = "nvmf-p2p-http-fuzz-" + std::to_string(getpid());
  name.insert(name.begin(), '\0');
  return {name};
}

class World {
 public:
  explicit World(Server which) {
    HttpLimits limits;
    if (which == Server::ReadOnly) limits.read_only = "this socket is read-only";
    server_.emplace(which == Server::Metrics ? metrics_routes() : admin_routes(daemon_), limits);
    server_->serve(stream_protocol::acceptor(io_, abstract_name()));
  }

  // Until the server closes the connection, or an answer begins that has no end.
  std::string answer_to(std::string_view request) {
    asio::io_context of_client;
    stream_protocol::socket client(of_client);
    client.connect(abstract_name());
    asio::write(client, asio::buffer(request));
    client.shutdown(asio::socket_base::shutdown_send);
    client.non_blocking(true);
    std::string answer;
    for (;;) {
      std::array<char, 4096> part{};
      boost::system::error_code error;
      const size_t bytes = client.read_some(asio::buffer(part), error);
      answer.append(part.data(), bytes);
      if (error && error != asio::error::would_block) return answer;
      if (error && answer.find(kStream) != std::string::npos) return answer;
      if (error) io_.run_one_for(std::chrono::milliseconds(1));
    }
  }

  const nvmf::config::Json& config() { return daemon_.running_config(); }
  const std::string& done() const { return daemon_.done; }

 private:
  FakeDaemon daemon_;
  asio::io_context io_;
  std::optional<HttpServer> server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > kMostBytes) return 0;
  const auto which = static_cast<Server>(data[0] % kServers);
  World world(which);
  const nvmf::config::Json before = world.config();
  const std::string answer = world.answer_to({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!answer.empty() && !answer.starts_with("HTTP/1.")) std::abort();
  const bool may_change = which == Server::Admin;
  if (!may_change && (world.config() != before || !world.done().empty())) std::abort();
  return 0;
}
