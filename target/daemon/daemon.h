// The composition root: builds target, transport, disks and peer memory from a Config, runs the control thread, and
// takes everything down again. What it wires: Reload puts configs into effect, Ports follow addresses and RNICs,
// AdminService answers the admin API.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/edit.h"
#include "target/backend/engine.h"
#include "target/core/reactor/mailbox.h"
#include "target/core/reactor/reactor.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/admin_service.h"
#include "target/daemon/ana_topology.h"
#include "target/daemon/authentication_worker.h"
#include "target/daemon/changes.h"
#include "target/daemon/events.h"
#include "target/daemon/fallback_watch.h"
#include "target/daemon/figures.h"
#include "target/daemon/file_lock.h"
#include "target/daemon/health.h"
#include "target/daemon/history.h"
#include "target/daemon/identifier_files.h"
#include "target/daemon/metrics_server.h"
#include "target/daemon/namespace_states.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/ports.h"
#include "target/daemon/problems.h"
#include "target/daemon/program.h"
#include "target/daemon/reload.h"
#include "target/daemon/reservation_files.h"
#include "target/daemon/running_config.h"
#include "target/daemon/served_storage_files.h"
#include "target/daemon/state_watch.h"
#include "target/daemon/storage.h"
#include "target/daemon/upgrade.h"
#include "target/daemon/worker_thread.h"
#include "target/daemon/write_protection_files.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Daemon {
 public:
  // `sources`: the files from which `config` was parsed. `program` is this process's. Throws std::exception with a
  // message for the operator when the daemon cannot serve at all (no io_uring).
  Daemon(const config::Config& config, config::Sources sources, Program& program);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Serves what the config names until SIGTERM or SIGINT; returns the process's exit status. SIGHUP: reads the config
  // file again. Throws std::exception with a message for the operator when it cannot start; nothing runs then.
  int run();
  // After run(): which program is to take this one's place, when this object is gone.
  enum class Successor : uint8_t {
    None,    // the process ends
    Next,    // the one that is at its path by now
    Former,  // the one whose place this one has taken: shortfall() says why
  };
  Successor successor() const { return successor_; }
  const std::string& shortfall() const { return shortfall_; }
  // What it served when it began to make way (served_names.h).
  const std::vector<std::string>& served_names() const { return served_names_; }
  // The text of the config, as the file had it.
  std::string config_text() const { return running_.text_of_files(); }

 private:
  using Task = boost::asio::awaitable<void>;
  struct DataThread {
    backend::UringEngine engine;
    core::Reactor reactor;
    explicit DataThread(const core::ReactorOptions& options) : reactor(options, engine) {}
  };

  StateDirectory state_directory() const;
  // Of one kind of state, for its files.
  StateWriter state_writer(HostState state);
  std::string status_line() const;
  Figures figures() const;
  HealthFigures health() const;
  Conditions conditions() const;
  std::vector<std::string> unready() const;
  void serve_metrics();
  std::string page() const;
  Task keep_history();
  // Once the start is over: failed, it ends the daemon.
  void on_started(const std::exception_ptr& failure);
  void serve_until_stopped();
  // When the service manager has a watchdog: reports that this thread and every reactor answer.
  Task keep_watchdog();
  void watch_keep_alive();
  void await_deadline(core::Target::Clock::time_point deadline);
  void await_signals();
  void shut_down();
  // See AdminActions.
  void hand_over();
  // The process makes way for another program, unless `obstacle` finds a reason not to when earlier changes have ended:
  // then, and when commands do not end in time, it serves on.
  Task make_way(Successor successor, std::function<std::string()> obstacle);
  std::vector<std::string> names_of_what_is_served() const;
  // After an upgrade: serves as much as the former program did, or makes way for it.
  Task prove_itself();
  // Disconnects all hosts; run() returns when their last command has ended. `most`: then time_is_up().
  void end_service(std::chrono::milliseconds most);
  void time_is_up();
  // Of an upgrade whose hosts' commands have not ended.
  Task serve_on();
  // Ends the process while commands are outstanding.
  Task give_up();
  boost::asio::awaitable<std::string> outstanding_commands();
  [[noreturn]] void make_way_at_once() const;

  Program& program_;
  RunningConfig running_;
  boost::asio::io_context io_;
  Events events_;
  core::Mailbox control_mailbox_;
  std::shared_ptr<DirectoryLock> state_lock_;  // shared by all that write to state_dir
  StateWatch state_watch_;
  ReservationFiles reservations_;
  WriteProtectionFiles write_protection_;
  WorkerThread state_writes_;
  WorkerThread config_files_;
  IdentifierFiles identifiers_;
  ServedStorageFiles served_storages_;
  core::Target target_;
  std::vector<std::unique_ptr<DataThread>> data_threads_;
  rdma::Transport transport_;
  boost::asio::thread_pool queue_pair_threads_;  // destroy queue pairs: the kernel may keep one of them for a minute
  AuthenticationWorker authentication_;
  PeerMemories peer_memories_;
  DeviceOpener opener_;
  Storage storage_;
  HealthMonitor health_;
  rdma::AsioMailbox mailbox_;
  Changes changes_;
  NamespaceStates states_;
  Ports ports_;
  AnaTopology ana_topology_;
  Reload reload_;
  Upgrade upgrade_;
  FallbackWatch fallbacks_;
  AdminService admin_;
  History history_;
  std::optional<MetricsServer> metrics_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer keep_alive_timer_;
  boost::asio::steady_timer shutdown_timer_;
  boost::asio::steady_timer watchdog_timer_;
  boost::asio::steady_timer history_timer_;
  const std::chrono::steady_clock::time_point made_ = std::chrono::steady_clock::now();
  std::exception_ptr start_failure_;
  bool started_ = false;  // the config of the start has been applied
  Successor successor_ = Successor::None;
  std::string shortfall_;
  std::vector<std::string> served_names_;
  bool gives_up_ = false;
};

}  // namespace nvmf::daemon
