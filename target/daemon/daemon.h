// The composition root: builds target, transport, disks and peer memory from a Config, runs the control thread, and
// takes everything down again. What a config says is put into effect in reload.cpp, at the start as later.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "config/edit.h"
#include "config/parse.h"
#include "target/backend/engine.h"
#include "target/core/reactor/mailbox.h"
#include "target/core/reactor/reactor.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/admin_views.h"
#include "target/daemon/device_watch.h"
#include "target/daemon/figures.h"
#include "target/daemon/health.h"
#include "target/daemon/http_server.h"
#include "target/daemon/identifier_files.h"
#include "target/daemon/log_limit.h"
#include "target/daemon/mdns.h"
#include "target/daemon/metrics_server.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/reservation_files.h"
#include "target/daemon/storage.h"
#include "target/daemon/unix_socket.h"
#include "target/daemon/write_protection_files.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Daemon : private AdminActions {
 public:
  // `document`: the JSON of `config`. Throws std::exception with a message for the operator when nothing can ever be
  // served: no io_uring.
  Daemon(const config::Config& config, config::Json document);
  ~Daemon() override;

  // Serves what the config names until SIGTERM or SIGINT; returns the process's exit status. SIGHUP: reads the config
  // file again, and becomes what it says.
  int run();

 private:
  using Task = boost::asio::awaitable<void>;
  struct DataThread {
    backend::UringEngine engine;
    core::Reactor reactor;
    explicit DataThread(const core::ReactorOptions& options) : reactor(options, engine) {}
  };

  struct StagedNamespaces;

  // reload.cpp
  Task serve();
  Task reload_on_signal();
  Task on_devices_changed();
  Task follow_devices();
  Task take_out_gone_devices();
  Task serve_missing();
  void watch_devices();
  Task watch_sizes();
  Change reload() override;
  Change change(Edit edit) override;
  // Runs when no other change does, and keeps others out.
  Change alone(std::function<Change()> work);
  // `text`: what `wanted` was parsed from. Both must outlive the change; what is wanted is taken.
  Change become(config::Result& wanted, const std::string& text);
  // Opens what is new, and what was missing. None: something that is new cannot be had. Adds to `reasons` what and why.
  boost::asio::awaitable<std::optional<StagedNamespaces>> stage(const config::Config& wanted,
                                                                const config::Difference& difference,
                                                                std::vector<std::string>& reasons);
  enum class Missing : uint8_t { All, ThatHaveTheirDevice };
  // Stages namespaces that are not served and not staged yet. Adds to `reasons` which cannot be, and why.
  Task stage_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged,
                     std::vector<std::string>& reasons);
  // The same, and logs the reasons.
  Task report_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged);
  bool awaits_device(const config::Difference::NamespaceChange& change) const;
  Task apply(const config::Difference& difference, StagedNamespaces staged);
  void announce();
  // For the service manager: what is served.
  std::string status_line() const;
  void remove_subsystem(const config::Subsystem& gone);
  void add_subsystem(const config::Subsystem& wanted);
  void change_subsystem(const config::Subsystem& wanted);
  void remove_port(const config::Port& gone);

  void set_limits(const config::Limits& wanted);

  // admin.cpp
  void serve_admin();
  const char* state_of(const core::Port& port) const;
  Json status() override;
  Json subsystems() override;
  Json namespaces() override;
  Json connections() override;
  Json p2p() override;
  Json stats() override;
  Json ana() override;
  const config::Json& running_config() override { return document_; }
  ConfigChange compare(const std::string& text, const std::string& name) override;
  std::string save() override;
  void set_ana(const std::string& wanted) override;
  bool drain(std::optional<uint16_t> port) override;
  bool resume(std::optional<uint16_t> port) override;
  size_t disconnect(const std::string& hostnqn) override;

  // ports.cpp
  enum class Attempt : uint8_t { First, Later };
  // Whether one has come.
  boost::asio::awaitable<bool> open_devices_of(std::vector<core::Port> ports, Attempt attempt);
  Task put_in_service(const std::vector<rdma::Rnic*>& rnics);
  Task take_out_of_service(rdma::Rnic& rnic);
  Task come_up(std::vector<core::Port> ports, Attempt attempt);
  void listen(const core::Port& port, Attempt attempt);
  void stop_listening(uint16_t port_id);
  void on_port_lost(uint16_t port_id);
  void await_ports();
  Task on_ports_ready();
  void report(core::Target::Severity severity, const std::string& message);
  void flush_log();
  // Tells the service manager, when it wants to know, that this thread and every reactor answer.
  Task keep_watchdog();
  void serve_metrics();
  Figures figures() const;
  void watch_keep_alive();
  void await_deadline(core::Target::Clock::time_point deadline);
  void await_signals();
  void shut_down();
  [[noreturn]] void give_up();

  const std::string file_;            // of the config
  config::Config config_;             // what runs; the difference to it is what a change applies
  config::Json document_;             // the same as JSON
  std::vector<std::string> unsaved_;  // changes since the file was read or written
  MissingNamespaces missing_;
  LogLimit log_limit_;
  std::set<uint16_t> drained_;  // ports
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  boost::asio::io_context io_;
  core::Mailbox control_mailbox_;
  ReservationFiles reservations_;
  WriteProtectionFiles write_protection_;
  IdentifierFiles identifiers_;
  core::Target target_;
  std::vector<std::unique_ptr<DataThread>> data_threads_;
  rdma::Transport transport_;
  PeerMemories peer_memories_;
  Storage storage_;
  HealthMonitor health_;
  rdma::AsioMailbox mailbox_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer keep_alive_timer_;
  boost::asio::steady_timer listen_timer_;
  boost::asio::steady_timer log_timer_;
  boost::asio::steady_timer shutdown_timer_;
  boost::asio::steady_timer watchdog_timer_;
  boost::asio::steady_timer size_timer_;
  boost::asio::steady_timer change_done_;  // never expires: cancelled when a change has been made
  std::vector<core::Port> unheard_ports_;  // whose address or RDMA device is not there
  std::optional<UnixSocketFile> admin_socket_;
  std::optional<HttpServer> admin_;
  std::optional<MetricsServer> metrics_;
  std::optional<MdnsAnnouncer> mdns_;
  DeviceWatch device_watch_;
  bool shutting_down_ = false;
  bool changing_ = false;          // a config is being put into effect
  bool reload_is_wanted_ = false;  // when that is done
  bool devices_changed_ = false;   // since they were looked at last
};

}  // namespace nvmf::daemon
