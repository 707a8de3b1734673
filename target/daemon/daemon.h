// The composition root: builds target, transport, disks and peer memory from a Config, runs the control thread, and
// takes everything down again. What a config says is put into effect in reload.cpp, at the start as later.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "target/backend/engine.h"
#include "target/core/mailbox.h"
#include "target/core/reactor.h"
#include "target/core/target.h"
#include "target/daemon/http_server.h"
#include "target/daemon/mdns.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/reservation_files.h"
#include "target/daemon/storage.h"
#include "target/daemon/unix_socket.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Daemon {
 public:
  // Throws std::exception with a message for the operator when nothing could be served: no RDMA device, no io_uring.
  explicit Daemon(const config::Config& config);
  ~Daemon();

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
  Task reload();
  Task reload_once();
  // None, with the reasons logged: something of it cannot be had.
  std::optional<StagedNamespaces> stage(const config::Config& wanted, const config::Difference& difference);
  void stage_missing(const config::Config& wanted, StagedNamespaces& staged);
  Task apply(const config::Difference& difference, StagedNamespaces staged);
  void announce();
  void remove_subsystem(const config::Subsystem& gone);
  void add_subsystem(const config::Subsystem& wanted);
  void change_subsystem(const config::Subsystem& wanted);
  void remove_port(const config::Port& gone);

  enum class Attempt : uint8_t { First, Later };
  void listen(const core::Port& port, Attempt attempt);
  void serve_admin();
  void watch_keep_alive();
  void await_deadline(core::Target::Clock::time_point deadline);
  void await_signals();
  void shut_down();
  [[noreturn]] void give_up();

  config::Config config_;  // as it was read last; the difference to it is what a reload applies
  boost::asio::io_context io_;
  core::Mailbox control_mailbox_;
  ReservationFiles reservations_;
  core::Target target_;
  std::vector<std::unique_ptr<DataThread>> data_threads_;
  rdma::Transport transport_;
  PeerMemories peer_memories_;
  Storage storage_;
  rdma::AsioMailbox mailbox_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer keep_alive_timer_;
  boost::asio::steady_timer listen_timer_;
  boost::asio::steady_timer shutdown_timer_;
  std::vector<core::Port> unheard_ports_;  // whose address could not be bound yet
  std::optional<UnixSocketFile> admin_socket_;
  std::optional<HttpServer> admin_;
  std::optional<MdnsAnnouncer> mdns_;
  bool shutting_down_ = false;
  bool changing_ = false;          // a config is being put into effect
  bool reload_is_wanted_ = false;  // again, when that is done
};

}  // namespace nvmf::daemon
