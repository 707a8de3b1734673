#include "target/daemon/metrics_server.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "target/daemon/exposition.h"
#include "target/daemon/page.h"
#include "target/daemon/page_report.h"

namespace nvmf::daemon {
namespace {

using boost::asio::ip::tcp;

constexpr std::chrono::seconds kRetry{1};

// Whoever reaches the address may ask: one address must not have all connections, nor all of them wait for long. One
// that is slow makes way at once: a scraper sends its request whole.
const HttpLimits kLimits{.connections = 32,
                         .connections_of_address = 8,
                         .patience = std::chrono::milliseconds(0),
                         .timeout = std::chrono::milliseconds(5'000)};

HttpResponse as_text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

// Browsers take each answer for what it says it is, and keep none: a page of a former version would not understand the
// answers of this one.
HttpResponse for_browsers(std::string content_type, std::string body) {
  return {.content_type = std::move(content_type),
          .headers = {{"X-Content-Type-Options", "nosniff"},
                      {"Cache-Control", "no-store"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Content-Security-Policy", std::string(kPagePolicy)}},
          .body = std::move(body)};
}

void add_page(HttpRoutes& routes, MetricsServer::Report report) {
  routes.add("GET", "/",
             [](const HttpRequest&) { return for_browsers("text/html; charset=utf-8", std::string(kPage)); });
  routes.add("GET", "/page.json", [fresh = std::make_shared<FreshReport>(std::move(report))](const HttpRequest&) {
    return for_browsers("application/json", fresh->at(FreshReport::Clock::now()));
  });
}

HttpRoutes routes(MetricsServer::Text text, MetricsServer::Unready unready, MetricsServer::Report report) {
  HttpRoutes routes;
  add_page(routes, std::move(report));
  routes.add("GET", "/healthz", [](const HttpRequest&) { return as_text(200, "the daemon answers\n"); });
  routes.add("GET", "/readyz", [unready = std::move(unready)](const HttpRequest&) {
    std::string reasons;
    for (const std::string& reason : unready()) reasons += reason + '\n';
    return reasons.empty() ? as_text(200, "hosts can connect\n") : as_text(503, std::move(reasons));
  });
  routes.add_waiting("GET", "/metrics", [text = std::move(text)](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    std::string body = co_await text();
    co_return HttpResponse{.content_type = Exposition::kContentType, .body = std::move(body)};
  });
  return routes;
}

std::string spell(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? '[' + address + ']' : address) + ':' + std::to_string(endpoint.port());
}

}  // namespace

MetricsServer::MetricsServer(boost::asio::io_context& io, const config::Metrics& where, Text text, Unready unready,
                             Report report)
    : io_(io),
      endpoint_(boost::asio::ip::make_address(where.address), where.port),
      server_(routes(std::move(text), std::move(unready), std::move(report)), kLimits),
      retry_(io) {
  listen();
}

void MetricsServer::listen() {
  try {
    server_.serve(tcp::acceptor(io_, endpoint_));
    listening_ = true;
    fault_.clear();
    spdlog::info("metrics: http://{0}/metrics; the page to look at: http://{0}/", spell(endpoint_));
  } catch (const boost::system::system_error& error) {
    try_again(error.code().message());
  }
}

void MetricsServer::try_again(const std::string& why) {
  if (std::exchange(fault_, spell(endpoint_) + ": " + why).empty())
    spdlog::warn("metrics: cannot listen on {}; trying again every {} s", fault_, kRetry.count());
  retry_.expires_after(kRetry);
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) listen();
  });
}

}  // namespace nvmf::daemon
