// The composition root: builds target, transport, disks and peer memory from a Config, runs the control thread, and
// takes everything down again.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "config/config.h"
#include "target/backend/engine.h"
#include "target/core/mailbox.h"
#include "target/core/reactor.h"
#include "target/core/target.h"
#include "target/daemon/mdns.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/stats_server.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Daemon {
 public:
  // Opens everything that `config` names. Throws std::exception with a message for the operator when nothing could be
  // served: no RDMA device, no io_uring.
  explicit Daemon(const config::Config& config);
  ~Daemon();

  // Serves until SIGTERM or SIGINT; returns the process's exit status.
  int run();

 private:
  struct DataThread {
    backend::UringEngine engine;
    core::Reactor reactor;
    explicit DataThread(const core::ReactorOptions& options) : reactor(options, engine) {}
  };

  enum class Attempt : uint8_t { First, Later };
  void listen(const core::Port& port, Attempt attempt);
  void watch_keep_alive();
  void await_deadline(core::Target::Clock::time_point deadline);
  void await_signals();
  void shut_down();
  [[noreturn]] void give_up();

  config::Config config_;
  boost::asio::io_context io_;
  core::Mailbox control_mailbox_;
  core::Target target_;
  std::vector<std::unique_ptr<DataThread>> data_threads_;
  rdma::Transport transport_;
  PeerMemories peer_memories_;
  std::optional<Storage> storage_;
  rdma::AsioMailbox mailbox_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer keep_alive_timer_;
  boost::asio::steady_timer listen_timer_;
  boost::asio::steady_timer shutdown_timer_;
  std::vector<core::Port> unheard_ports_;  // whose address could not be bound yet
  std::unique_ptr<StatsServer> stats_;
  std::optional<MdnsAnnouncer> mdns_;
  bool shutting_down_ = false;
};

}  // namespace nvmf::daemon
