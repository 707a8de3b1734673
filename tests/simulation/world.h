// The target on the model RNIC, on one thread: control thread with the daemon's control plane, reactors, hosts and
// network take steps in an order that the seed chooses, in virtual time.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/core/subsystem/target.h"
#include "target/nvme/types.h"
#include "tests/rnic/device.h"
#include "tests/rnic/fabric.h"
#include "tests/simulation/control_plane.h"
#include "tests/simulation/credits.h"
#include "tests/simulation/directory.h"
#include "tests/simulation/model_cmb.h"
#include "tests/simulation/model_disk.h"
#include "tests/simulation/stepped_reactor.h"
#include "tests/simulation/world_config.h"
#include "transport/rdma/asio_poller.h"
#include "transport/rdma/transport.h"

namespace nvmf::simulation {

class HostQueue;

struct WorldOptions {
  uint64_t seed = 1;
  rnic::Profile profile = rnic::connectx();
  unsigned reactors = 1;
  uint32_t poll_us = 0;  // of the reactors
  uint64_t dram_pool_bytes = 4u << 20;
  uint32_t initial_slots = 64;
  uint16_t max_queue_depth = 32;
  unsigned ports = 1;                      // each on a device of its own
  bool second_reaches_cmb = true;          // the device of port 2
  size_t cmb_bytes = 0;                    // of an SSD, for the namespace kNsid; 0: none
  bool cmb_can_be_pinned = true;           // for RNICs that pin dma-bufs
  bool in_memory = false;                  // the namespace kNsid, instead of on the disk
  uint32_t max_new_controllers_per_s = 0;  // 0: no limit
  ibv_mtu mtu = IBV_MTU_4096;              // of the device of port 1, at first
  uint32_t max_new_controllers_per_s_per_host = 0;
};

class World;

// Something that ends connections or commands of honest hosts, or keeps them out, as long as this lives.
class Disturbance {
 public:
  explicit Disturbance(World& world);
  ~Disturbance();
  Disturbance(const Disturbance&) = delete;
  Disturbance& operator=(const Disturbance&) = delete;

 private:
  World& world_;
};

class World {
 public:
  static constexpr char kAddress[] = "192.0.2.1";
  static constexpr char kHostAddress[] = "192.0.2.101";
  // Of the hosts' device, all; the first one where it does not matter.
  static constexpr std::array<const char*, 12> kHostAddresses{
      kHostAddress,   "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4",  "198.51.100.5",
      "198.51.100.6", "198.51.100.7", "198.51.100.8", "198.51.100.9", "198.51.100.10", "198.51.100.11"};
  static constexpr char kSecondAddress[] = "192.0.2.2";
  static constexpr uint16_t kService = 4420;
  static constexpr uint16_t kPort = 1;
  static constexpr char kNqn[] = "nqn.2024-01.org.example:disks";
  static constexpr uint32_t kNsid = 1;
  static constexpr uint64_t kBlocks = 2048;
  static constexpr uint8_t kLbaShift = 9;
  static constexpr uint32_t kMaxTransferBytes = 65536;
  static constexpr uint32_t kKeepAliveMs = 4000;           // of honest hosts
  static constexpr uint32_t kLongestKeepAliveMs = 15'000;  // of any
  // After a disturbance hosts find out what it has done to them: a message that was lost is given up after 4 s.
  static constexpr uint64_t kAftermathNs = 6'000'000'000;

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

  // The device of port 1 goes; and comes back, when the target has let go of it.
  void remove_device();
  void return_device(const rnic::Profile& profile);
  // Port 1 listens.
  bool is_in_service() const;
  // The SSD of kNsid goes, and its CMB with it; and comes back.
  void remove_ssd();
  void return_ssd();
  // Transfers through the CMB fail from now on.
  void revoke_cmb() { cmb_->revoke(); }
  ModelCmb& cmb() { return *cmb_; }
  // No command of kNsid that was sent at that time, or later, has a reason to fail.
  bool storage_is_sound_since(uint64_t ns) const {
    return disk.errors_percent == 0 && (!ssd_was_removed_ || !is_disturbed_since(ns));
  }
  // A disk that the config can name from now on. Its blocks hold zeroes.
  ModelDisk& add_disk(const std::string& name, uint64_t blocks);
  // The operator writes this config, and reloads. Empty, or why it was refused. From a host's fiber, or outside.
  std::string reload(const WorldConfig& wanted);
  const WorldConfig& config() const { return config_; }
  ControlPlane& control_plane() { return *control_plane_; }
  // From now on each poll of a completion queue and each post of a send costs the control thread so much time, in which
  // hosts and the network go on. For hosts that do nothing else than use the network.
  void charge_control_thread(uint64_t ns_of_call);
  // Runs `work` on the control thread as what arrives there from outside; how long that took. None: it never ran.
  std::optional<uint64_t> time_on_control_thread(std::function<void()> work);
  // Whether a disturbance, or the aftermath of one, reaches into the time from then until now; whether it is one now.
  bool is_disturbed_since(uint64_t ns) const { return disturbances_ != 0 || ns < calm_since_ns_; }
  bool is_disturbed() const { return is_disturbed_since(fabric.now_ns()); }
  // Whether a command that was sent at that time ought to have been answered: at once where nothing disturbs it; and
  // whatever happens, as long as its queue reaches the target. `bound_ns`: 0 where there is none.
  bool is_late(const HostQueue& queue, uint64_t sent_ns, uint64_t bound_ns) const;
  // Whether what a host has begun then takes too long, where nothing disturbs it.
  bool is_overdue(uint64_t begun_ns, uint64_t bound_ns) const;
  // Whether the host gives up: after so long it hears nothing of a target that is away.
  bool is_missed(const HostQueue& queue, uint64_t sent_ns, uint64_t patience_ns) const;
  // Whether a command that was sent at that time may end so: its port was drained, or the operator ended its queue.
  bool may_lose_its_path(int status, uint64_t sent_ns) const {
    const bool of_the_path = status >> 8 == NVME_SCT_PATH || status == NVME_SC_ABORT_QUEUE;
    return of_the_path && is_disturbed_since(sent_ns);
  }
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
  core::Subsystem& subsystem() { return *target.find_subsystem(kNqn); }

 private:
  friend class Disturbance;

  std::vector<rdma::ReactorSeat> seats();
  ModelDisk& disk_at(const std::string& path);
  void destroy_on_fiber(std::function<void()> work, std::function<void()> done);
  void await_deadline(core::Target::Clock::time_point deadline);
  void pass_time(bool found_work);
  void expect(bool good, const std::string& what);
  void check_quiet(rdma::PollGroup& group);
  void check_device();

  boost::asio::io_context io_;
  core::Mailbox control_;
  Directory directory_;
  WorldConfig config_;
  std::map<std::string, std::unique_ptr<ModelDisk>> more_disks_;  // by name
  std::unique_ptr<ModelCmb> cmb_;
  std::vector<std::unique_ptr<SteppedReactor>> reactors_;
  std::unique_ptr<rdma::Transport> transport_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<rdma::AsioMailbox> mailbox_;
  boost::asio::steady_timer keep_alive_timer_;
  Credits credits_;
  std::vector<std::unique_ptr<Fiber>> hosts_;
  std::vector<std::unique_ptr<Fiber>> destroyers_;  // the daemon's threads that destroy queue pairs
  unsigned idle_steps_ = 0;
  static constexpr uint64_t kLeapNs = 2'000'000;
  uint64_t leap_ns_ = kLeapNs;
  uint64_t disturbances_ = 0;  // that are under way
  uint64_t calm_since_ns_ = 0;
  std::optional<Disturbance> device_is_away_;
  std::optional<Disturbance> ssd_is_away_;
  bool ssd_was_removed_ = false;
};

}  // namespace nvmf::simulation
