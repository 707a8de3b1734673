// The daemon's control plane on the model: the same parts that `nvmf-p2p run` wires, without its sockets, signals and
// files of state. The config comes out of a file of the directory, and namespaces are on model disks.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "target/backend/engine.h"
#include "target/daemon/ana_topology.h"
#include "target/daemon/changes.h"
#include "target/daemon/device_opener.h"
#include "target/daemon/events.h"
#include "target/daemon/health.h"
#include "target/daemon/identifier_files.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/ports.h"
#include "target/daemon/reload.h"
#include "target/daemon/running_config.h"
#include "target/daemon/served_storage_files.h"
#include "target/daemon/storage.h"
#include "target/daemon/worker_thread.h"
#include "tests/simulation/model_disk.h"
#include "tests/simulation/stepped_reactor.h"
#include "transport/rdma/transport.h"

namespace nvmf::simulation {

class ControlPlane {
 public:
  using Reactors = std::vector<std::unique_ptr<SteppedReactor>>;
  struct Parts {
    boost::asio::io_context& io;
    core::Target& target;
    core::Mailbox& control;
    rdma::Transport& transport;
    const Reactors& reactors;
    std::function<ModelDisk&(const std::string& path)> disk_at;
  };
  // `text`: of the config file `file`.
  ControlPlane(const Parts& parts, const std::string& file, const std::string& text);
  ~ControlPlane();

  // As the daemon at its start. `is_started()` when the config has been applied.
  void start();
  bool is_started() const { return started_; }

  // Reads the config file again; `done` gets what came of it.
  void reload(std::function<void(const daemon::ConfigChange&)> done);
  daemon::Ports& ports() { return ports_; }
  // As the command; returns the number of controllers that the host had.
  size_t disconnect(const std::string& hostnqn);
  daemon::Storage& storage() { return storage_; }
  size_t missing_namespaces() const { return reload_.missing().size(); }
  const daemon::PeerMemories& peer_memories() const { return peer_memories_; }
  // As the command; `done` when the self-tests were repeated, and their results decide.
  void prove(std::function<void()> done);
  // As before the daemon makes way for another one.
  void move_hosts(std::function<void()> done);
  // Changes and looks at ports begin no more.
  void stop();
  // After the last connection: nothing uses the devices any more. `done` when all are closed.
  void close_devices(std::function<void()> done);

 private:
  std::vector<daemon::DataThreadRef> threads() const;
  daemon::DeviceOpenerOptions opener_options();

  Parts parts_;
  // The daemon's names for the reactors' engines. They drive nothing.
  std::vector<std::unique_ptr<backend::UringEngine>> engines_;
  daemon::RunningConfig running_;
  daemon::WorkerThread config_files_;
  daemon::IdentifierFiles identifiers_;
  daemon::ServedStorageFiles served_storages_;
  daemon::PeerMemories peer_memories_;
  daemon::Events events_;
  daemon::DeviceOpener opener_;
  daemon::Storage storage_;
  daemon::HealthMonitor health_;
  daemon::Changes changes_;
  daemon::Ports ports_;
  daemon::AnaTopology ana_topology_;
  daemon::Reload reload_;
  bool started_ = false;
};

}  // namespace nvmf::simulation
