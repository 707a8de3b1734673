#include "target/daemon/daemon.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>

#include "target/daemon/log.h"
#include "target/daemon/on_reactors.h"
#include "target/daemon/service_manager.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

core::TargetOptions target_options(const config::Config& config) {
  core::TargetOptions options;
  options.max_transfer_bytes = config.rdma.mdts_bytes;
  options.max_queue_depth = config.rdma.max_queue_depth;
  options.max_io_queues = config.rdma.max_io_queues;
  options.in_capsule_bytes = config.rdma.in_capsule_data_bytes;
  options.discovery_nqn = config.discovery.nqn.value_or("");
  return options;
}

rdma::PollGroupOptions group_options(const config::Config& config) {
  rdma::PollGroupOptions options;
  options.in_capsule_bytes = config.rdma.in_capsule_data_bytes;
  options.dram_pool_bytes = uint64_t{config.rdma.dram_pool_mib} << 20;
  options.max_transfer_bytes = config.rdma.mdts_bytes;
  return options;
}

core::ReactorOptions reactor_options(const config::Reactors& reactors, unsigned index) {
  core::ReactorOptions options;
  options.index = index;
  if (!reactors.cores.empty()) options.cpu = reactors.cores[index];
  options.poll_us = reactors.poll_us;
  return options;
}

template <class DataThreads>
DataThreads make_data_threads(const config::Reactors& reactors) {
  DataThreads threads;
  for (unsigned index = 0; index < reactors.count; ++index)
    threads.push_back(
        std::make_unique<typename DataThreads::value_type::element_type>(reactor_options(reactors, index)));
  return threads;
}

template <class DataThreads>
std::vector<rdma::ReactorSeat> seats_of(const DataThreads& threads) {
  std::vector<rdma::ReactorSeat> seats;
  seats.reserve(threads.size());
  for (const auto& thread : threads)
    seats.push_back({&thread->reactor,
                     {.add = std::bind_front(&backend::UringEngine::register_buffer, &thread->engine),
                      .remove = std::bind_front(&backend::UringEngine::unregister_buffer, &thread->engine)}});
  return seats;
}

template <class DataThreads>
std::vector<DataThreadRef> refs_to(const DataThreads& threads) {
  std::vector<DataThreadRef> refs;
  refs.reserve(threads.size());
  for (const auto& thread : threads) refs.push_back({&thread->reactor, &thread->engine});
  return refs;
}

void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

Daemon::Daemon(const config::Config& config, config::Json document)
    : file_(config.file),
      config_(config),
      document_(std::move(document)),
      log_limit_(&log),
      reservations_(StateDirectory(config_.state_dir)),
      write_protection_(StateDirectory(config_.state_dir)),
      identifiers_(StateDirectory(config_.state_dir)),
      target_(target_options(config_)),
      data_threads_(make_data_threads<decltype(data_threads_)>(config_.reactors)),
      transport_(io_, target_, control_mailbox_, seats_of(data_threads_), group_options(config_)),
      peer_memories_(transport_.rnics(), config_.rdma.mdts_bytes),
      storage_(io_, target_, control_mailbox_, refs_to(data_threads_), transport_, peer_memories_, identifiers_),
      health_(io_, target_, storage_.namespaces(), open_nvme_admin(), [this] { transport_.turn_admin(); }),
      mailbox_(io_, control_mailbox_, [this] { transport_.turn_admin(); }),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      keep_alive_timer_(io_),
      listen_timer_(io_),
      log_timer_(io_),
      shutdown_timer_(io_),
      watchdog_timer_(io_),
      size_timer_(io_),
      change_done_(io_, boost::asio::steady_timer::time_point::max()),
      device_watch_(io_, [this] {
        if (!shutting_down_) boost::asio::co_spawn(io_, on_devices_changed(), rethrow);
      }) {
  target_.on_event = [this](core::Target::Severity severity, const std::string& message) { report(severity, message); };
  target_.on_earlier_deadline = [this](core::Target::Clock::time_point deadline) { await_deadline(deadline); };
  transport_.on_port_lost = [this](uint16_t port_id) { on_port_lost(port_id); };
  transport_.on_device_drained = [this](rdma::Rnic& rnic) {
    boost::asio::co_spawn(io_, take_out_of_service(rnic), rethrow);
  };
  target_.reservation_store = &reservations_;
  target_.health_source = &health_;
  target_.write_protection_store = &write_protection_;
  target_.flush_namespace = [this](const core::Subsystem& subsystem, uint32_t nsid, auto done) {
    const auto answered = [this, done](core::Status status) {
      done(status);
      transport_.turn_admin();
    };
    boost::asio::co_spawn(io_, storage_.flush(subsystem.nqn(), nsid, answered), rethrow);
  };
}

Daemon::~Daemon() = default;

int Daemon::run() {
  await_signals();
  for (const auto& thread : data_threads_) thread->reactor.start();
  serve_admin();
  if (config_.metrics) serve_metrics();
  boost::asio::co_spawn(io_, serve(), rethrow);
  boost::asio::co_spawn(io_, keep_watchdog(), rethrow);
  boost::asio::co_spawn(io_, watch_sizes(), rethrow);
  io_.run();
  for (const auto& thread : data_threads_) thread->reactor.stop();
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

void Daemon::serve_metrics() {
  metrics_.emplace(io_, *config_.metrics, [this] { return metrics_text(figures()); });
}

Figures Daemon::figures() const {
  std::vector<const core::Reactor*> reactors;
  for (const auto& thread : data_threads_) reactors.push_back(&thread->reactor);
  return figures_of(target_, transport_, storage_, peer_memories_, reactors);
}

Daemon::Task Daemon::keep_watchdog() {
  const auto timeout = service_manager::watchdog_timeout();
  if (!timeout) co_return;
  std::vector<core::Reactor*> reactors;
  for (const auto& thread : data_threads_) reactors.push_back(&thread->reactor);
  for (;;) {
    co_await on_reactors(io_, control_mailbox_, reactors, [](size_t) {});
    service_manager::alive();
    watchdog_timer_.expires_after(*timeout / 2);
    co_await watchdog_timer_.async_wait(boost::asio::use_awaitable);
  }
}

// No timer runs unless a warning was written lately.
void Daemon::report(core::Target::Severity severity, const std::string& message) {
  log_limit_.add(severity, message, LogLimit::Clock::now());
  if (severity == core::Target::Severity::Warning && log_timer_.expiry() <= LogLimit::Clock::now()) flush_log();
}

void Daemon::flush_log() {
  const auto next = log_limit_.flush(LogLimit::Clock::now());
  if (!next) return;
  log_timer_.expires_at(*next);
  log_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) flush_log();
  });
}

// Armed before the turn, which may bring a deadline that is earlier still.
void Daemon::watch_keep_alive() {
  if (const auto next = target_.expire(core::Target::Clock::now())) await_deadline(*next);
  transport_.turn_admin();
}

// Asks the target nothing: it calls this while it makes the controller that the deadline belongs to.
void Daemon::await_deadline(core::Target::Clock::time_point deadline) {
  keep_alive_timer_.expires_at(deadline);
  keep_alive_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) watch_keep_alive();
  });
}

void Daemon::await_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number == SIGHUP) {
      if (!shutting_down_) boost::asio::co_spawn(io_, reload_on_signal(), rethrow);
    } else if (shutting_down_) {
      std::_Exit(EXIT_FAILURE);
    } else {
      shut_down();
    }
    await_signals();
  });
}

void Daemon::shut_down() {
  shutting_down_ = true;
  service_manager::stopping("seeing hosts out");
  spdlog::info("shutting down: seeing {} queues out, at most {} ms; a second signal exits at once",
               transport_.connections(), config_.shutdown_timeout_ms);
  listen_timer_.cancel();
  mdns_.reset();
  metrics_.reset();
  shutdown_timer_.expires_after(milliseconds(config_.shutdown_timeout_ms));
  shutdown_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) give_up();
  });
  transport_.stop([this] { io_.stop(); });
}

void Daemon::give_up() {
  spdlog::error("{} queues still had commands outstanding after {} ms; their hosts will repeat them elsewhere or later",
                transport_.connections(), config_.shutdown_timeout_ms);
  std::_Exit(EXIT_FAILURE);
}

}  // namespace nvmf::daemon
