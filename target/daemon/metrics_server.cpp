#include "target/daemon/metrics_server.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "target/daemon/exposition.h"

namespace nvmf::daemon {
namespace {

using boost::asio::ip::tcp;

constexpr std::chrono::seconds kRetry{1};

HttpRoutes routes(std::function<std::string()> text) {
  HttpRoutes routes;
  routes.add("GET", "/metrics", [text = std::move(text)](const HttpRequest&) {
    return HttpResponse{.content_type = Exposition::kContentType, .body = text()};
  });
  return routes;
}

std::string spell(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(endpoint.port());
}

}  // namespace

MetricsServer::MetricsServer(boost::asio::io_context& io, const config::Metrics& where,
                             std::function<std::string()> text)
    : io_(io),
      endpoint_(boost::asio::ip::make_address(where.address), where.port),
      server_(routes(std::move(text))),
      retry_(io) {
  listen();
}

void MetricsServer::listen() {
  try {
    server_.serve(tcp::acceptor(io_, endpoint_));
    listening_ = true;
    spdlog::info("metrics: http://{}/metrics", spell(endpoint_));
  } catch (const boost::system::system_error& error) {
    try_again(error.code().message());
  }
}

void MetricsServer::try_again(const std::string& fault) {
  if (!std::exchange(told_, true))
    spdlog::warn("metrics: cannot listen on {}: {}; trying again every {} s", spell(endpoint_), fault, kRetry.count());
  retry_.expires_after(kRetry);
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) listen();
  });
}

}  // namespace nvmf::daemon
