// Serves GET /metrics on a TCP address; for those who watch over the daemon GET /healthz (its control thread answers)
// and GET /readyz (hosts can connect); and for people GET /, a page to look at, with its content as GET /page.json.
// Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <vector>

#include "config/config.h"
#include "target/daemon/http_server.h"

namespace nvmf::daemon {

class MetricsServer {
 public:
  // `text`: called for each request. An address that cannot be bound is logged, and tried again until it can be bound:
  // at boot, interfaces come up late.
  using Text = std::function<boost::asio::awaitable<std::string>()>;
  // `unready`: why the daemon does not serve yet, or no longer, a sentence each; none: it is ready.
  using Unready = std::function<std::vector<std::string>()>;
  // `report`: page_report.h.
  using Report = std::function<std::string()>;
  MetricsServer(boost::asio::io_context& io, const config::Metrics& where, Text text, Unready unready, Report report);
  // Accepts no more connections. Current requests are still answered, so everything that `text` and `report` use must
  // live as long as the io_context.
  ~MetricsServer() = default;
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  bool listening() const { return listening_; }
  // The address, and why it cannot be bound; empty: it is.
  const std::string& fault() const { return fault_; }

 private:
  void listen();
  void try_again(const std::string& why);

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::endpoint endpoint_;
  HttpServer server_;
  boost::asio::steady_timer retry_;
  bool listening_ = false;
  std::string fault_;
};

}  // namespace nvmf::daemon
