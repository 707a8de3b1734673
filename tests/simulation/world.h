// The target's transport, core and reactors on the model RNIC, on one thread: control thread, reactors, hosts and
// network take steps in an order that the seed chooses, in virtual time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "target/core/datapath/write_gate.h"
#include "target/core/subsystem/target.h"
#include "tests/rnic/device.h"
#include "tests/rnic/fabric.h"
#include "tests/simulation/model_disk.h"
#include "tests/simulation/stepped_reactor.h"
#include "transport/rdma/asio_poller.h"
#include "transport/rdma/transport.h"

namespace nvmf::simulation {

struct WorldOptions {
  uint64_t seed = 1;
  rnic::Profile profile = rnic::connectx();
  unsigned reactors = 1;
  uint32_t poll_us = 0;  // of the reactors
  uint32_t dram_pool_bytes = 4u << 20;
  uint32_t initial_slots = 64;
  uint16_t max_queue_depth = 32;
};

class World {
 public:
  static constexpr char kAddress[] = "192.0.2.1";
  static constexpr char kHostAddress[] = "192.0.2.101";
  static constexpr uint16_t kService = 4420;
  static constexpr uint16_t kPort = 1;
  static constexpr char kNqn[] = "nqn.2024-01.org.example:disks";
  static constexpr uint32_t kNsid = 1;
  static constexpr uint64_t kBlocks = 2048;
  static constexpr uint8_t kLbaShift = 9;
  static constexpr uint32_t kMaxTransferBytes = 65536;

  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A host's thread: `body` calls wait() in it.
  void start_host(std::function<void()> body);
  bool hosts_are_done() const;

  // Lets the world go on until `good`, at most for so long; from outside and inside of hosts. False: it did not come.
  bool wait(const std::function<bool()>& good, uint64_t most_ns = 20'000'000'000);
  void step();

  // The device goes; and comes back, when the target has let go of it.
  void remove_device();
  void return_device(const rnic::Profile& profile);
  bool is_in_service() const { return rnic_in_service_ != nullptr; }
  // How often something has happened that ends an honest host's connections.
  uint64_t disturbances() const { return disturbances_; }
  // Every host out, every queue closed.
  bool shut_down();
  // The end: nothing may be left of anything. What is, becomes a fault.
  void check_quiet();

  rnic::Fabric fabric;
  core::Target target;
  ModelDisk disk;
  std::vector<std::string> events;
  rnic::Device* device;  // the target's; null while it is gone
  rnic::Device& host_device;
  std::unique_ptr<rdma::Transport>& transport() { return transport_; }
  core::Subsystem& subsystem() { return subsystem_; }

 private:
  struct View {
    std::unique_ptr<core::IoNamespace> view;
    std::unique_ptr<core::IoChannel> channel;
    std::unique_ptr<core::WriteGate> gate;
    rdma::NamespaceChange change;
    std::function<void()> changed;
  };
  struct Errand {
    std::function<void()> work;
    core::Message message;
  };

  std::vector<rdma::ReactorSeat> seats();
  void open_port();
  void serve(rdma::Rnic& rnic);
  void on_drained(rdma::Rnic& rnic);
  void await_deadline(core::Target::Clock::time_point deadline);
  void on_reactor(size_t reactor, std::function<void()> work);
  void pass_time(bool found_work);
  void expect(bool good, const std::string& what);
  void check_quiet(rdma::PollGroup& group);
  void check_device();

  boost::asio::io_context io_;
  core::Mailbox control_;
  std::vector<std::unique_ptr<SteppedReactor>> reactors_;
  core::Subsystem& subsystem_;
  core::FusedTurns fused_turns_{&control_};
  std::vector<std::unique_ptr<View>> views_;
  std::vector<std::unique_ptr<Errand>> errands_;
  std::unique_ptr<rdma::Transport> transport_;
  std::unique_ptr<rdma::AsioMailbox> mailbox_;
  boost::asio::steady_timer keep_alive_timer_;
  rdma::Rnic* rnic_in_service_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> hosts_;
  unsigned idle_steps_ = 0;
  uint64_t disturbances_ = 0;
};

}  // namespace nvmf::simulation
