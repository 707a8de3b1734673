// The daemon's side of the admin API: its answers, and the operations of its clients. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "target/core/subsystem/target.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/changes.h"
#include "target/daemon/figures.h"
#include "target/daemon/http_server.h"
#include "target/daemon/namespace_states.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/ports.h"
#include "target/daemon/problems.h"
#include "target/daemon/program.h"
#include "target/daemon/reload.h"
#include "target/daemon/running_config.h"
#include "target/daemon/state_watch.h"
#include "target/daemon/storage.h"
#include "target/daemon/unix_socket.h"
#include "target/daemon/upgrade.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class AdminService final : public AdminActions {
 public:
  // The parts of the daemon that it shows and changes.
  struct Parts {
    core::Target& target;
    rdma::Transport& transport;
    Storage& storage;
    const PeerMemories& peer_memories;
    Ports& ports;
    Reload& reload;
    Changes& changes;
    NamespaceStates& states;
    const StateWatch& state_watch;
    EventStream& events;
    RunningConfig& running;
    WorkerThread& files;  // reads and writes the config files
    std::function<Figures()> figures;
    std::function<Conditions()> conditions;
    std::function<std::vector<std::string>()> unready;  // MetricsServer::Unready
    const Program& program;
    Upgrade& upgrade;
    std::function<void()> hand_over;
  };
  explicit AdminService(Parts parts) : parts_(std::move(parts)) {}

  // Listens on the sockets of the config. Throws std::runtime_error with the failed operation and its path.
  void listen(boost::asio::io_context& io);

  Json status() override;
  Json subsystems() override;
  Json namespaces() override;
  Json connections() override;
  Json p2p() override;
  boost::asio::awaitable<Json> prove(std::string ssd) override;
  boost::asio::awaitable<Json> stats() override;
  Json ana() override;
  Json reservations() override { return reservations_view(parts_.target); }
  Json write_protection() override { return write_protection_view(parts_.target); }
  EventStream& events() override { return parts_.events; }
  const config::Json& running_config() override { return parts_.running.document(); }
  Change reload(bool force) override { return parts_.reload.reload(force); }
  Change change(Edit edit, std::optional<std::string> if_match) override {
    return parts_.reload.change(std::move(edit), std::move(if_match));
  }
  std::string version() override { return parts_.running.version(); }
  Change replace(config::Sources sources, std::optional<std::string> if_match) override {
    return parts_.reload.replace(std::move(sources), std::move(if_match));
  }
  Change accept(std::string nqn, uint32_t nsid) override { return parts_.reload.accept(std::move(nqn), nsid); }
  Change clear_reservation(std::string nqn, uint32_t nsid, bool force) override {
    return parts_.states.clear_reservation(std::move(nqn), nsid, force);
  }
  Change clear_write_protection(std::string nqn, uint32_t nsid) override {
    return parts_.states.clear_write_protection(std::move(nqn), nsid);
  }
  ConfigChange compare(const config::Sources& sources) override { return parts_.running.compare(sources); }
  boost::asio::awaitable<SavedFiles> save(bool force) override;
  void set_ana(const config::Json& wanted) override;
  std::optional<std::vector<uint16_t>> drain(std::optional<uint16_t> port) override { return parts_.ports.drain(port); }
  std::optional<std::vector<uint16_t>> resume(std::optional<uint16_t> port) override {
    return parts_.ports.resume(port);
  }
  boost::asio::awaitable<UpgradePlan> prepare_upgrade(bool force) override { return parts_.upgrade.prepare(force); }
  void hand_over() override { parts_.hand_over(); }
  size_t disconnect(const std::string& hostnqn) override;

 private:
  Parts parts_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
  std::optional<UnixSocketFile> socket_;
  std::optional<HttpServer> server_;
  std::optional<UnixSocketFile> read_only_socket_;
  std::optional<HttpServer> read_only_server_;
};

}  // namespace nvmf::daemon
