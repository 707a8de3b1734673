// Ports and the RDMA devices under them, which come and go: at boot addresses and devices come late, and drivers are
// reloaded later. A port waits until both are there; the start goes the same way.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "target/daemon/daemon.h"

namespace nvmf::daemon {
namespace {

// A port that waits is tried again this often.
constexpr std::chrono::seconds kRetry{1};

}  // namespace

// That a port has no device is listen()'s to tell.
boost::asio::awaitable<bool> Daemon::open_devices_of(std::vector<core::Port> ports, Attempt attempt) {
  std::vector<rdma::Rnic*> come;
  size_t missing = 0;
  for (const core::Port& port : ports) {
    try {
      if (rdma::Rnic* const rnic = transport_.open_device_of(port)) come.push_back(rnic);
    } catch (const std::exception& error) {
      ++missing;
      if (attempt == Attempt::First && transport_.has_device_for(port))
        spdlog::error("port {}: {}", port.id, error.what());
    }
  }
  peer_memories_.expect_rnics(missing);
  co_await put_in_service(come);
  co_return !come.empty();
}

Daemon::Task Daemon::put_in_service(const std::vector<rdma::Rnic*>& rnics) {
  for (rdma::Rnic* rnic : rnics) co_await storage_.join(*rnic);
  co_await peer_memories_.add(rnics);
  for (rdma::Rnic* rnic : rnics) {
    co_await storage_.serve_on(*rnic);
    transport_.put_in_service(*rnic);
    spdlog::info("the RDMA device {} is in service", rnic->name());
  }
}

// Nothing of it is in use any more: waits only for what else is being changed.
Daemon::Task Daemon::take_out_of_service(rdma::Rnic& rnic) {
  co_await alone([&]() -> Change {
    co_await storage_.part(rnic);
    peer_memories_.remove(rnic);
    spdlog::info("the RDMA device {} is out of service", rnic.name());
    transport_.close(rnic);
    co_return ConfigChange{};
  });
}

// Before hosts come, namespaces have what new devices make possible.
Daemon::Task Daemon::come_up(std::vector<core::Port> ports, Attempt attempt) {
  const bool has_come = co_await open_devices_of(ports, attempt);
  if (has_come) {
    co_await storage_.choose_again();
    co_await serve_missing();
  }
  for (const core::Port& port : ports)
    if (!drained_.contains(port.id)) listen(port, attempt);
}

void Daemon::listen(const core::Port& port, Attempt attempt) {
  try {
    transport_.listen(port);
    spdlog::info("port {}: listening on {}, service {}", port.id, port.address, port.service);
  } catch (const std::exception& error) {
    if (attempt == Attempt::First)
      spdlog::warn("port {}: {}; trying again every {} s", port.id, error.what(), kRetry.count());
    unheard_ports_.push_back(port);
    await_ports();
  }
}

void Daemon::stop_listening(uint16_t port_id) {
  std::erase_if(unheard_ports_, [&](const core::Port& port) { return port.id == port_id; });
  transport_.stop_listening(port_id);
}

void Daemon::on_port_lost(uint16_t port_id) {
  for (const core::Port& port : target_.ports())
    if (port.id == port_id) unheard_ports_.push_back(port);
  await_ports();
}

void Daemon::await_ports() {
  listen_timer_.expires_after(kRetry);
  listen_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || shutting_down_ || unheard_ports_.empty()) return;
    const auto is_ready = [this](const core::Port& port) { return transport_.has_device_for(port); };
    if (std::ranges::none_of(unheard_ports_, is_ready)) return await_ports();
    boost::asio::co_spawn(io_, on_ports_ready(), [](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
    });
  });
}

Daemon::Task Daemon::on_ports_ready() {
  co_await alone([this]() -> Change {
    co_await come_up(std::exchange(unheard_ports_, {}), Attempt::Later);
    co_return ConfigChange{};
  });
}

}  // namespace nvmf::daemon
