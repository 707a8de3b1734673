#include "target/daemon/daemon.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "config/wording.h"
#include "target/daemon/core_options.h"
#include "target/daemon/descriptor_limit.h"
#include "target/daemon/log.h"
#include "target/daemon/on_reactors.h"
#include "target/daemon/page_report.h"
#include "target/daemon/picture.h"
#include "target/daemon/service_manager.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

// One that is kept by the kernel must not keep the others.
constexpr size_t kQueuePairThreads = 8;

std::map<std::string, rdma::RemoteInvalidate> remote_invalidate(const config::Config& config) {
  std::map<std::string, rdma::RemoteInvalidate> by_device;
  for (const config::RdmaDevice& device : config.rdma.devices) {
    switch (device.remote_invalidate) {
      case config::RemoteInvalidate::proved:
        break;  // as without the device
      case config::RemoteInvalidate::on:
        by_device[device.name] = rdma::RemoteInvalidate::On;
        break;
      case config::RemoteInvalidate::off:
        by_device[device.name] = rdma::RemoteInvalidate::Off;
        break;
    }
  }
  return by_device;
}

std::set<std::string> iwarp_devices(const config::Config& config) {
  std::set<std::string> names;
  for (const config::RdmaDevice& device : config.rdma.devices)
    if (device.iwarp) names.insert(device.name);
  return names;
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

// Where the directory is unavailable, which is logged, the lock is held before the first file is written there.
std::shared_ptr<DirectoryLock> lock_of_state_directory(const std::string& path) {
  auto lock = std::make_shared<DirectoryLock>(path);
  try {
    lock->hold(FileLock::kPatience);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory)
      spdlog::warn("cannot lock the state directory yet, so nothing is saved there until that succeeds: {}",
                   error.what());
  }
  return lock;
}

// The reactors run as long as this object lives.
template <class DataThreads>
class RunningReactors {
 public:
  explicit RunningReactors(const DataThreads& threads) {
    try {
      for (const auto& thread : threads) {
        thread->reactor.start();
        running_.push_back(&thread->reactor);
      }
    } catch (...) {
      stop();
      throw;
    }
  }
  ~RunningReactors() { stop(); }
  RunningReactors(const RunningReactors&) = delete;
  RunningReactors& operator=(const RunningReactors&) = delete;

 private:
  void stop() {
    for (core::Reactor* const reactor : running_) reactor->stop();
  }

  std::vector<core::Reactor*> running_;
};

}  // namespace

Daemon::Daemon(const config::Config& config, config::Sources sources, Program& program)
    : program_(program),
      running_(config, std::move(sources)),
      events_(io_),
      state_lock_(lock_of_state_directory(config.state_dir)),
      state_watch_(io_, state_directory(), state_writes_),
      reservations_(state_directory(), state_writer(HostState::Reservation)),
      write_protection_(state_directory(), state_writer(HostState::WriteProtection)),
      identifiers_(state_directory()),
      served_storages_(state_directory()),
      target_(target_options(config)),
      data_threads_(make_data_threads<decltype(data_threads_)>(config.reactors)),
      transport_(io_, target_, control_mailbox_, seats_of(data_threads_), group_options(config)),
      queue_pair_threads_(kQueuePairThreads),
      authentication_(io_, [this] { transport_.turn_admin(); }),
      peer_memories_(transport_.rnics(), config.rdma.mdts_bytes, ProofFiles(state_directory())),
      opener_(io_),
      storage_(io_, target_, control_mailbox_, refs_to(data_threads_), transport_, peer_memories_, opener_,
               identifiers_, served_storages_, events_),
      health_(io_, target_, storage_.namespaces(), open_nvme_admin(), [this] { transport_.turn_admin(); }),
      mailbox_(io_, control_mailbox_, [this] { transport_.turn_admin(); }),
      changes_(io_,
               [this] {
                 ana_topology_.changed();
                 transport_.turn_admin();  // what hosts are told of the change
                 if (!changes_.closed()) service_manager::ready(status_line());
               }),
      states_(io_, target_, changes_, events_),
      ports_(io_, target_, transport_, storage_, peer_memories_, changes_, events_),
      ana_topology_({.io = io_,
                     .target = target_,
                     .transport = transport_,
                     .storage = storage_,
                     .peer_memories = peer_memories_,
                     .ports = ports_,
                     .running = running_,
                     .events = events_}),
      reload_({.io = io_,
               .target = target_,
               .transport = transport_,
               .storage = storage_,
               .opener = opener_,
               .health = health_,
               .ports = ports_,
               .changes = changes_,
               .running = running_,
               .files = config_files_,
               .events = events_}),
      upgrade_({.io = io_,
                .program = program,
                .target = target_,
                .running = running_,
                .storage = storage_,
                .ports = ports_,
                .changes = changes_,
                .events = events_}),
      fallbacks_(io_, storage_, events_),
      admin_({.target = target_,
              .transport = transport_,
              .storage = storage_,
              .peer_memories = peer_memories_,
              .ports = ports_,
              .reload = reload_,
              .changes = changes_,
              .states = states_,
              .state_watch = state_watch_,
              .events = events_.stream(),
              .running = running_,
              .files = config_files_,
              .figures = [this] { return figures(); },
              .conditions = [this] { return conditions(); },
              .unready = [this] { return unready(); },
              .program = program,
              .upgrade = upgrade_,
              .hand_over = [this] { hand_over(); }}),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      keep_alive_timer_(io_),
      shutdown_timer_(io_),
      watchdog_timer_(io_),
      history_timer_(io_) {
  target_.on_event = [this](const core::Event& event) { events_.tell_at_most(event); };
  target_.on_earlier_deadline = [this](core::Target::Clock::time_point deadline) { await_deadline(deadline); };
  target_.reservation_store = &reservations_;
  target_.dhchap_crypto = &authentication_;
  target_.health_source = &health_;
  transport_.set_remote_invalidate(remote_invalidate(config));
  transport_.set_iwarp(iwarp_devices(config));
  transport_.destroy_elsewhere = [this](std::function<void()> work, std::function<void()> done) {
    boost::asio::post(queue_pair_threads_, [this, work = std::move(work), done = std::move(done)] {
      work();
      boost::asio::post(io_, done);
    });
  };
  target_.write_protection_store = &write_protection_;
  target_.flush_namespace = [this](const core::Subsystem& subsystem, uint32_t nsid, auto done) {
    const auto answered = [this, done](core::Status status) {
      done(status);
      transport_.turn_admin();
    };
    spawn(io_, storage_.flush(subsystem.nqn(), nsid, answered), "flushing a namespace");
  };
}

Daemon::~Daemon() = default;

StateDirectory Daemon::state_directory() const { return StateDirectory(running_.config().state_dir, state_lock_); }

StateWriter Daemon::state_writer(HostState state) {
  return state_watch_.watch(state, write_on(state_writes_, io_, [this] { transport_.turn_admin(); }));
}

// What can fail comes before the reactors run.
int Daemon::run() {
  raise_descriptor_limit();
  admin_.listen(io_);
  running_.remove_leftovers();
  if (state_lock_->is_held()) StateDirectory(running_.config().state_dir).remove_leftovers();
  await_signals();
  if (running_.config().metrics) serve_metrics();
  boost::asio::co_spawn(io_, reload_.serve(), [this](const std::exception_ptr& failure) { on_started(failure); });
  spawn(io_, fallbacks_.run(), "watching for data that goes through DRAM");
  spawn(io_, state_watch_.run(), "watching the state directory");
  spawn(io_, keep_watchdog(), "telling systemd that the daemon is alive");
  {
    const RunningReactors running(data_threads_);
    serve_until_stopped();
  }
  if (start_failure_) std::rethrow_exception(start_failure_);
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

void Daemon::on_started(const std::exception_ptr& failure) {
  started_ = !failure;
  if (started_) return spawn(io_, prove_itself(), "looking whether all is served that was served before the upgrade");
  start_failure_ = failure;
  io_.stop();
}

// No handler should throw. One that does must not take every host's connection with it.
void Daemon::serve_until_stopped() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      spdlog::error("internal error, please report it: a handler of the control thread failed: {}", error.what());
    }
  }
}

std::string Daemon::status_line() const {
  const auto listens = [this](const core::Port& port) { return ports_.state_of(port) == kPortStates.front(); };
  return fmt::format("serving {} of {}; {} of {} listening",
                     config::count_of(storage_.namespaces().size(), "namespace"),
                     config::count_of(target_.subsystems().size(), "subsystem"),
                     std::ranges::count_if(target_.ports(), listens), config::count_of(target_.ports().size(), "port"));
}

void Daemon::serve_metrics() {
  const auto text = [this] { return metrics_text(figures(), namespace_figures_of(storage_)); };
  metrics_.emplace(
      io_, *running_.config().metrics, text, [this] { return unready(); }, [this] { return page(); });
  spawn(io_, keep_history(), "keeping the history of latency and throughput");
}

std::string Daemon::page() const {
  const auto now = std::chrono::steady_clock::now();
  const Conditions conditions = this->conditions();
  return page_report({.now = now,
                      .uptime = std::chrono::duration_cast<std::chrono::seconds>(now - made_),
                      .unready = unready(),
                      .ports = conditions.health.ports,
                      .problems = problems_in(conditions),
                      .picture = picture_of(transport_, storage_, peer_memories_),
                      .history = &history_});
}

Daemon::Task Daemon::keep_history() {
  for (;;) {
    auto totals = co_await totals_of(namespace_figures_of(storage_));
    history_.add(std::chrono::steady_clock::now(), std::move(totals));
    history_timer_.expires_after(History::kInterval);
    co_await history_timer_.async_wait(boost::asio::use_awaitable);
  }
}

HealthFigures Daemon::health() const {
  HealthFigures health;
  for (const core::Port& port : target_.ports())
    health.ports.push_back(
        {.id = port.id, .address = port.address, .state = ports_.state_of(port), .reason = ports_.reason_of(port.id)});
  health.missing_namespaces = reload_.missing().size();
  health.unsaved_changes = running_.unsaved().size();
  if (const auto& last = reload_.last()) {
    health.reload_succeeded = last->succeeded;
    health.reload_time_s = static_cast<uint64_t>(std::chrono::system_clock::to_time_t(last->time));
  }
  if (metrics_) health.metrics_fault = metrics_->fault();
  health.state_dir_fault = state_watch_.fault();
  health.unsaved_identifiers = storage_.unkept().size();
  health.displaced_namespaces = storage_.displaced_files().size();
  health.unreadable_keys = reload_.unreadable_keys().size();
  health.refused_state = state_watch_.refused();
  return health;
}

Conditions Daemon::conditions() const {
  return {.health = health(),
          .missing = reload_.missing(),
          .displaced_files = storage_.displaced_files(),
          .cmbs = cmb_conditions_of(peer_memories_)};
}

// Hosts find the target where one port listens; the others are told of, too.
std::vector<std::string> Daemon::unready() const {
  if (!started_) return {"the daemon starts"};
  if (changes_.closed()) return {kShutsDown};
  std::vector<std::string> reasons;
  for (const core::Port& port : target_.ports()) {
    const std::string state = ports_.state_of(port);
    if (state == kPortStates.front()) return {};
    const std::string why = ports_.reason_of(port.id);
    reasons.push_back(fmt::format("port {} is {}{}{}", port.id, state, why.empty() ? "" : ": ", why));
  }
  if (reasons.empty()) reasons.emplace_back("the config has no ports");
  return reasons;
}

Figures Daemon::figures() const {
  std::vector<const core::Reactor*> reactors;
  for (const auto& thread : data_threads_) reactors.push_back(&thread->reactor);
  Figures figures = figures_of(target_, transport_, storage_, peer_memories_, reactors);
  figures.health = health();
  return figures;
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

// Armed before the turn, which may set an earlier deadline.
void Daemon::watch_keep_alive() {
  if (const auto next = target_.expire(core::Target::Clock::now())) await_deadline(*next);
  transport_.turn_admin();
}

// Must not call the target, which calls this while it creates the controller of the deadline.
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
      if (!changes_.closed()) spawn(io_, reload_.reload_on_signal(), "the reload");
    } else if (std::exchange(successor_, Successor::None) != Successor::None) {
      spdlog::info("stopping instead of starting the other program");
      shut_down();
    } else if (!changes_.closed()) {
      shut_down();
    } else if (std::exchange(gives_up_, true)) {
      std::_Exit(EXIT_FAILURE);
    } else {
      spawn(io_, give_up(), "the end of the process");
    }
    await_signals();
  });
}

}  // namespace nvmf::daemon
