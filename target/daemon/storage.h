// The namespaces in service: their devices, the reactors' channels to them, and the view that each poll group has of
// them. They are added, changed and removed while hosts are connected. Control thread; the reactors run.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "target/backend/device.h"
#include "target/core/datapath/device_error.h"
#include "target/core/datapath/rate_limit.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/countdown.h"
#include "target/daemon/device_looks.h"
#include "target/daemon/device_opener.h"
#include "target/daemon/events.h"
#include "target/daemon/former_views.h"
#include "target/daemon/identifier_files.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/served_storage_files.h"
#include "target/daemon/state_files_worker.h"
#include "target/daemon/worker_thread.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// The path of a namespace's data.
struct PeerMemoryChoice {
  core::P2pMode mode = core::P2pMode::Off;
  // What the namespace's own device was proved to do with the CMB.
  bool host_reads = true;
  bool host_writes = true;
  std::string provider;  // PCI address of the SSD whose CMB is used; empty: none
  std::string verdict;   // why data goes, or does not go, through a CMB: one sentence
};

// A namespace as one poll group serves it.
struct OnGroup {
  const rdma::Rnic* rnic;
  size_t reactor;
  std::unique_ptr<core::IoNamespace> view{};   // replaced at each change
  std::unique_ptr<core::Throttle> throttle{};  // null: no limit has been set

  rdma::PollGroup& group() const { return *rnic->io_groups()[reactor]; }
};

// The memory of a namespace, as one RNIC reads it.
struct NamespaceRegion {
  const rdma::Rnic* rnic;
  verbs::MemoryRegion region;
};

// One namespace, from stage() to remove().
struct ServedNamespace {
  config::Namespace wanted;
  std::string subsystem;  // NQN
  PeerMemoryChoice p2p;
  std::shared_ptr<backend::Device> device;  // of all namespaces on it
  std::shared_ptr<FileLock> lock;           // null: no file
  std::string identity;                     // of the device: served_storage_files.h
  uint64_t block_count = 0;                 // as hosts were told
  bool volatile_write_cache = false;        // the same
  bool is_displaced = false;                // as the operator was told
  std::string storage;                      // names the storage that other namespaces may share; empty: not shared
  std::optional<IdentifierFiles::Uuid> kept_uuid;  // when neither config nor device gives an identifier
  // By reactor. Channels are made and destroyed on its thread.
  std::vector<std::unique_ptr<core::IoChannel>> channels;
  std::vector<std::unique_ptr<core::WriteGate>> gates;
  std::vector<std::unique_ptr<core::DeviceErrors>> device_errors;
  std::vector<OnGroup> on_groups;  // of every RNIC
  // Of DeviceInfo::memory, with each RNIC that could do it. No view may refer to one that goes.
  std::vector<NamespaceRegion> regions;
  std::shared_ptr<core::FusedTurns> fused_turns;  // shared by all namespaces on the same storage
  std::unique_ptr<core::RateLimit> limit;         // null: none has been set
  core::IoCounters past;                          // counters of replaced views whose commands have ended
  std::unique_ptr<Countdown>
      flushes;  // of Storage::flush(), in progress: the channels stay until the flushes have ended
  std::vector<const core::IoNamespace*> former_views;  // that commands may use still
};

// The parts of a reactor that devices need.
struct DataThreadRef {
  core::Reactor* reactor;
  backend::UringEngine* engine;
};

// The config's identifiers come first, then the device's own.
core::NamespaceOptions options_of(const ServedNamespace& served, const config::Namespace& wanted);
backend::DeviceSpec spec_of(const config::Backend& wanted);

// Of one namespace, for messages.
struct OutstandingCommands {
  std::string space;   // "namespace 1 of NQN"
  std::string device;  // what it is served from
  uint64_t commands = 0;
};
std::string to_string(const OutstandingCommands& one);
// PeerMemoryChoice::verdict of a namespace in memory that RNICs may read.
std::string memory_verdict();

class Storage {
 public:
  using Task = boost::asio::awaitable<void>;

  Storage(boost::asio::io_context& io, core::Target& target, core::Mailbox& control, std::vector<DataThreadRef> threads,
          rdma::Transport& transport, PeerMemories& peer_memories, DeviceOpener& opener,
          const IdentifierFiles& identifiers, const ServedStorageFiles& served_storages, Events& events);

  const std::vector<std::unique_ptr<ServedNamespace>>& namespaces() const { return served_; }
  // Null when the namespace is not served.
  ServedNamespace* find(const std::string& nqn, uint32_t nsid) const;

  // Chooses identifiers and peer memory of a namespace on a device that was opened for it; hosts see nothing of it
  // yet. Throws std::exception with a message for the operator. Waits for the self-test of new peer memory.
  boost::asio::awaitable<std::unique_ptr<ServedNamespace>> stage(const std::string& nqn,
                                                                 const config::Namespace& wanted, OpenedDevice opened);
  // Keeps in the state directory what hosts will know of a staged namespace, and what it is served from. A failure is
  // reported, and the namespace is in unkept() until keep_again() succeeds.
  Task keep(const ServedNamespace& staged);
  // Tries to write what could not be written.
  Task keep_again();
  // Of which namespaces this could not be written, by NQN and NSID, and why.
  std::vector<std::string> unkept() const;
  // The operator confirms the storage that stage() refused last for a namespace, because the identifiers of the config
  // were served from another one before: the next stage() takes it. False: none was refused. Throws std::exception when
  // that cannot be kept.
  boost::asio::awaitable<bool> accept(std::string nqn, uint32_t nsid);
  // Chooses peer memory again, for a namespace that is served.
  boost::asio::awaitable<PeerMemoryChoice> choose_peer_memory(const config::Namespace& wanted,
                                                              const backend::Device& device);

  // For others who read the state directory in a change.
  StateFilesWorker& state_files() { return state_files_; }

  // Each completes when every reactor is in the new state; commands that began before end under the old one, sooner or
  // later. add() throws std::exception, and has undone everything, when the core refuses the namespace. The device of a
  // removed namespace is closed when its last command has ended.
  Task add(core::Subsystem& subsystem, std::unique_ptr<ServedNamespace> staged);
  Task remove(core::Subsystem& subsystem, uint32_t nsid);
  // The device has disappeared, and with it the memory that other namespaces may use: their data goes through DRAM from
  // now on, and namespaces that require a CMB are removed, too.
  Task remove_with_device(core::Target& target, core::Subsystem& subsystem, uint32_t nsid);
  Task change_policies(core::Subsystem& subsystem, const config::Namespace& wanted, PeerMemoryChoice choice);
  // Waits until the devices of removed namespaces are closed, or are in awaited().
  Task settle();
  // Removed namespaces that have had commands at their devices for more than a second since: a sentence each.
  std::vector<std::string> awaited() const;
  // `call`: the CMB of an SSD that was unplugged is in use no more: where the SSD is back, its CMB may be prepared
  // anew.
  void on_cmb_unused(std::function<void()> call) { on_cmb_unused_ = std::move(call); }
  // `call`: a namespace was removed because its policy cannot be kept any more, and why.
  using OnLost = std::function<void(const std::string& nqn, uint32_t nsid, const std::string& why)>;
  void on_lost(OnLost call) { on_lost_ = std::move(call); }
  // The namespaces, removed ones included, with commands that have not ended.
  boost::asio::awaitable<std::vector<OutstandingCommands>> outstanding();
  // An RNIC has appeared: the reactors poll it, and all namespaces are served on it.
  Task join(rdma::Rnic& rnic);
  Task serve_on(rdma::Rnic& rnic);
  // An RNIC is removed, and no command is left on it: no namespace is served on it, and no reactor polls it any more.
  Task part(rdma::Rnic& rnic);
  // More peer memory may be usable, because RNICs have appeared, or less, because a self-test was repeated. Namespaces
  // that require a CMB are removed when none is proved any more.
  Task choose_again();
  // The self-test was repeated with this RNIC: its result decides from now on.
  Task follow_proof(const rdma::Rnic& rnic);
  // Repeats the proof of SSDs whose namespaces use the CMB of another SSD, that at `bdf` or any (empty): its result
  // decides from now on.
  Task prove_consumers(std::string bdf);
  // Asks the devices and files for what may have changed of them. Waits a second at most: of those that do not answer,
  // a later call takes what they say.
  Task measure();
  // The files that were removed or replaced since they were opened, as far as measured, by NQN and NSID.
  std::map<std::pair<std::string, uint32_t>, std::string> displaced_files() const;
  // Whether a device or file has another size, or write cache, than hosts were told.
  bool differs() const;
  // Tells hosts of those that have. The changes, each in a sentence for the operator.
  boost::asio::awaitable<std::vector<std::string>> follow_devices(core::Target& target);
  // Flushes the data written to a namespace to stable media; then calls `done` on the control thread.
  Task flush(std::string nqn, uint32_t nsid, std::function<void(core::Status)> done);

  void open_subsystem(const core::Subsystem& subsystem);
  void close_subsystem(const core::Subsystem& subsystem);

 private:
  // What one of a namespace's poll groups (OnGroup) is to serve from now on; null: nothing.
  struct NewView {
    size_t place;
    std::unique_ptr<core::IoNamespace> view;
  };
  using Views = std::vector<NewView>;

  // What keep() writes, of one namespace.
  struct Kept {
    config::Namespace wanted;
    std::string identity;
    std::string storage;
    std::optional<IdentifierFiles::Uuid> uuid;
    std::string failure{};  // empty: it has been written
  };
  // Empty, or why it could not be written. Blocks.
  static std::string write(const IdentifierFiles& identifiers, const ServedStorageFiles& served_storages,
                           const std::string& nqn, const Kept& kept);

  Task require_same_storage(const ServedNamespace& staged);
  std::vector<rdma::PollGroup*> io_groups() const;
  void add_groups(ServedNamespace& served, const rdma::Rnic& rnic) const;
  Task on_reactors(std::function<void(size_t reactor)> work);
  // Why a namespace on `device` cannot use the CMB of the SSD at `bdf`; empty: it can, as `choice` gets to know.
  boost::asio::awaitable<std::string> obstacle(const std::string& bdf, const backend::Device& device,
                                               PeerMemoryChoice& choice);
  // The same for the CMB of another SSD than the namespace's.
  boost::asio::awaitable<std::string> obstacle_to_consumer(const std::string& bdf, const std::string& consumer,
                                                           PeerMemoryChoice& choice);
  // Whether what uses peer memory by this RNIC's groups now ends soon; false: a device hangs.
  boost::asio::awaitable<bool> peer_memory_is_left_soon(const rdma::Rnic& rnic);
  // This RNIC's groups use the peer memory that it has now. Over when no command uses what it had before.
  Task follow_pools(const rdma::Rnic& rnic);
  Task renew_views(const rdma::Rnic& rnic);
  // With some RNIC.
  bool is_proved(const std::string& bdf) const;
  void add_gates(ServedNamespace& served);
  void add_device_errors(ServedNamespace& served);
  void set_limits(ServedNamespace& served);
  // For one RNIC's groups; null: for all.
  Views make_views(const ServedNamespace& served, const rdma::Rnic* rnic = nullptr) const;
  // With all RNICs that serve it, or with one, which must stay meanwhile; where that fails, data is copied.
  Task register_memory(ServedNamespace& served);
  Task register_memory(ServedNamespace& served, const rdma::Rnic& rnic);
  Task release_memory(std::vector<NamespaceRegion> regions);
  Task release_memory(const rdma::Rnic& rnic);
  static core::NamespaceMemory memory_on(const ServedNamespace& served, const rdma::Rnic& rnic);
  std::unique_ptr<core::IoNamespace> make_view(const ServedNamespace& served, const OnGroup& place) const;
  static Views no_views(const ServedNamespace& served);
  // Over when the poll groups serve the new ones.
  Task replace_views(const core::Subsystem& subsystem, ServedNamespace& served, Views views);
  using Clock = std::chrono::steady_clock;
  // A namespace that was removed.
  struct Leaving {
    std::unique_ptr<ServedNamespace> served;
    Clock::time_point since;
  };
  Task close_when_unused(ServedNamespace& served);
  Task tell_when_overdue(const ServedNamespace& served);
  std::vector<Leaving>::iterator find_leaving(const ServedNamespace& served);
  static bool is_overdue(const Leaving& one);
  static std::string sentence_of(const Leaving& one);
  Task forget_when_unused(std::string ssd);
  // Removes the namespace when its policy cannot be kept any more.
  Task choose_again(core::Subsystem& subsystem, uint32_t nsid);

  boost::asio::io_context& io_;
  core::Target& target_;
  core::Mailbox& control_;
  std::vector<DataThreadRef> threads_;
  rdma::Transport& transport_;
  PeerMemories& peer_memories_;
  DeviceOpener& opener_;
  const IdentifierFiles& identifiers_;
  const ServedStorageFiles& served_storages_;
  Events& events_;
  DeviceLooks looks_;
  StateFilesWorker state_files_;  // reads and writes them
  WorkerThread memory_worker_;    // registers memory of namespaces
  // Storage that was refused: what the config wanted of it, and its identity.
  std::map<std::pair<std::string, uint32_t>, std::pair<config::Namespace, std::string>> refused_;
  std::map<std::pair<std::string, uint32_t>, Kept> unkept_;
  std::vector<std::unique_ptr<ServedNamespace>> served_;
  std::vector<std::unique_ptr<core::IoNamespaceTable>> closed_tables_;  // queues may still refer to them
  std::vector<Leaving> leaving_;
  std::function<void()> on_cmb_unused_;
  OnLost on_lost_;
  FormerViews former_;
};

}  // namespace nvmf::daemon
