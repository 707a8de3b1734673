// A host, and a transport that carries its capsules to the target's protocol without a network: tests read as
// «host sends ..., target answers ...».
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/fabrics.h"

namespace nvmf::test {

using core::Status;
using nvme::Sqe;

using Bytes = std::vector<std::byte>;

// Status Code Type and Status Code, without the flags that go with them.
constexpr int code(Status status) { return status.value() & 0x7ff; }
constexpr int specific(int sc) { return code(core::command_specific(sc)); }

// The answer to a command.
struct Answer {
  int status = -1;  // SCT and SC
  bool do_not_retry = false;
  bool more = false;
  unsigned retry_delay = 0;  // CRD
  uint64_t result = 0;
  uint16_t cid = 0;
  uint16_t sqid = 0;
  uint16_t sqhd = 0;
  Bytes data;

  bool ok() const { return status == 0; }
  template <typename Structure>
  Structure as(size_t offset = 0) const {
    Structure structure;
    std::memcpy(&structure, data.data() + offset, sizeof(structure));
    return structure;
  }
};

// A disk that records its commands, answers at once (or when told to), and fails on demand.
class Disk : public core::IoChannel {
 public:
  void submit(core::Io& io) override;
  // Answers what has been held.
  void complete_all();

  struct Seen {
    core::IoKind kind;
    uint64_t slba;
    uint32_t blocks;
    bool fua;
    bool deallocate;
    uint32_t range_count;
  };
  std::vector<Seen> seen;
  Status answer;
  // Its content, for tests that need it: reads and writes then use it.
  Bytes blocks;
  uint8_t lba_shift = 9;
  bool hold = false;

 private:
  void transfer(core::Io& io);
  std::vector<core::Io*> held_;
};

// One target, configured as its daemon would.
class World {
 public:
  static constexpr char kNqn[] = "nqn.2024-01.org.example:disks";
  static constexpr char kOtherNqn[] = "nqn.2024-01.org.example:private";
  static constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";
  static constexpr uint64_t kBlocks = 1000;  // of namespaces 1 (512 bytes each) and 3 (4,096 bytes each)

  explicit World(const core::TargetOptions& options = default_options());
  static core::TargetOptions default_options();

  core::Target target;
  core::Subsystem& subsystem;        // any host; namespaces 1 and 3; ports 1 and 2
  core::Subsystem& other_subsystem;  // kHostNqn only; no namespace; port 2
  Disk disk_1;
  Disk disk_3;
  core::IoNamespaceTable table;
  core::IoNamespaceTable other_table;  // of other_subsystem
  core::FusedTurns fused_turns_1{nullptr};
  core::FusedTurns fused_turns_3{nullptr};
  std::vector<std::string> events;
  uint32_t io_queue_room = UINT32_MAX;  // of the RNIC, less what connections have reserved

  // Namespace 1 is namespace kDispersedNsid of other_subsystem, too.
  static constexpr uint32_t kDispersedNsid = 5;
  void disperse();
  // To change what a namespace can do.
  core::IoNamespace& io_namespace(uint32_t nsid) { return const_cast<core::IoNamespace&>(*table.find(nsid)); }

 private:
  void add_to_table(core::IoNamespaceTable& table_of, core::Subsystem& owner, const core::NamespaceOptions& options,
                    Disk& disk, core::FusedTurns& turns);
  std::vector<std::unique_ptr<core::IoNamespace>> namespaces_;
  std::vector<std::unique_ptr<core::WriteGate>> gates_;
  std::vector<std::unique_ptr<core::DeviceErrors>> device_errors_;
};

// One connection, as the transport keeps it.
class Wire : public core::QueueLink {
 public:
  Wire(World& world, uint16_t qid, uint16_t port_id = 1);
  ~Wire() override;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // Sends a capsule. `memory` is the host's buffer, which a keyed SGL describes unless the command has its own.
  // Returns the answer's number for take(); there may be none yet.
  size_t post(Sqe sqe, Bytes memory = {}, Bytes in_capsule = {});
  bool answered(size_t number) const { return exchanges_[number]->answers > 0; }
  // It was ended without an answer.
  bool dropped(size_t number) const { return exchanges_[number]->dropped; }
  Answer take(size_t number) const;
  uint16_t cid_of(size_t number) const { return exchanges_[number]->capsule.cid; }
  // The same for a command that must be answered at once.
  Answer send(const Sqe& sqe, Bytes memory = {}, Bytes in_capsule = {});
  // The same for a command that must be dropped at once.
  bool drops(const Sqe& sqe, Bytes memory = {}) { return dropped(post(sqe, std::move(memory))); }

  // The connection ends: every request has come back, or waits and is dropped; then the target hears of it.
  void close();
  // From now on commands wait as if there were no buffer for them, until release().
  void hold() { holding_ = true; }
  void release();

  // Before its Connect: the host's address and port.
  void come_from(std::string peer) { peer_ = std::move(peer); }
  bool disconnected() const { return !reason_.empty(); }
  bool quiesced() const { return quiesced_; }
  const std::string& reason() const { return reason_; }

  core::Queue queue;

  void disconnect(const std::string& reason) override;
  void quiesce(std::function<void()> done) override;
  void abort(uint16_t cid, std::function<void(bool aborted)> done) override;
  void abort_all(uint32_t nsid, std::function<void()> done) override;
  bool is_closing() const override { return disconnected(); }
  uint32_t reserve_io_queues(uint32_t wanted) override;
  const core::IoNamespaceTable* io_namespaces(const core::Subsystem& subsystem) override;
  uint16_t port_id() const override { return port_id_; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_address() const override { return local_address_; }

 private:
  struct Exchange : core::Request {
    Sqe capsule{};
    Bytes memory;
    Bytes in_capsule;
    Bytes buffer;
    int answers = 0;
    bool dropped = false;
    bool is_over() const { return answers != 0 || dropped; }
  };
  // On its way from the control thread to the queue's and back.
  struct Abort {
    Wire* wire = nullptr;
    uint32_t nsid = 0;  // 0: one command
    uint16_t cid = 0;
    bool quiesces = false;  // everything
    std::function<void(bool aborted)> done;
    bool aborted = false;
    std::vector<Exchange*> unanswered{};  // of those on the namespace
    core::Message message{};
  };
  void receive(Exchange& exchange);
  void place_data(Exchange& exchange);
  static void respond(core::Request& request);
  void send(Abort abort);
  void begin(Abort& abort);
  void begin_quiesce(Abort& abort);
  void drop_held();
  bool abort_waiting(Exchange& exchange, core::Status status);
  void report_aborts();

  World& world_;
  uint16_t port_id_;
  std::string peer_ = "192.0.2.7:41512";
  std::string local_address_ = "192.0.2.1";
  std::string reason_;
  bool open_ = true;
  bool quiesced_ = false;
  uint32_t reserved_io_queues_ = 0;
  uint16_t next_cid_ = 1;
  bool holding_ = false;
  std::vector<Exchange*> held_;
  std::list<Abort> aborts_;          // the control thread's
  std::vector<Abort*> in_progress_;  // the queue's thread's
  std::vector<std::unique_ptr<Exchange>> exchanges_;
};

// Commands.
Sqe command(uint8_t opcode, uint32_t nsid = 0, uint32_t cdw10 = 0, uint32_t cdw11 = 0, uint32_t cdw12 = 0);
Sqe property_get(uint32_t offset, uint8_t attrib = 0);
Sqe property_set(uint32_t offset, uint64_t value, uint8_t attrib = 0);
Sqe connect_command(uint16_t qid, uint16_t sqsize_z, uint32_t kato_ms = 0, uint8_t cattr = 0, uint16_t recfmt = 0);
Sqe disconnect_command(uint16_t recfmt = 0);
Sqe get_log_page(uint8_t lid, uint32_t bytes, uint64_t offset = 0, bool retain = false, uint32_t nsid = NVME_NSID_ALL);

inline constexpr uint32_t kEnable = 1u | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT;
inline constexpr uint16_t kAdminSqsize = 31;
inline constexpr uint16_t kIoSqsize = 127;

template <typename Structure>
Bytes to_bytes(const Structure& structure) {
  const auto* begin = reinterpret_cast<const std::byte*>(&structure);
  return {begin, begin + sizeof(structure)};
}
void set_nqn(char (&field)[256], const std::string& nqn);

// A host with its admin queue and its I/O queues.
class Host {
 public:
  explicit Host(World& world, std::string nqn = World::kHostNqn, uint16_t port_id = 1);

  // Connect data of this host.
  nvmf_connect_data connect_data(const std::string& subnqn, uint16_t cntlid = nvme::kCntlidDynamic) const;
  Answer connect(const std::string& subnqn = World::kNqn, uint32_t kato_ms = 0);
  Answer connect_io(uint16_t qid);
  // Connects, enables, and connects `io_queues` queues. Every step succeeds, or the test fails.
  void bring_up(uint16_t io_queues = 0, const std::string& subnqn = World::kNqn, uint32_t kato_ms = 0);

  Answer enable(uint32_t cc = kEnable) { return admin.send(property_set(NVME_REG_CC, cc)); }
  uint32_t csts() { return static_cast<uint32_t>(admin.send(property_get(NVME_REG_CSTS)).result); }
  Answer identify(uint8_t cns, uint32_t nsid = 0, uint32_t cdw11 = 0, uint16_t cntid = 0);
  Answer log_page(uint8_t lid, uint32_t bytes, uint64_t offset = 0, bool retain = false);
  Answer get_feature(uint8_t fid, uint8_t sel = 0, uint32_t cdw11 = 0);
  Answer set_feature(uint8_t fid, uint32_t cdw11, uint32_t nsid = 0, bool save = false);
  size_t await_event() { return admin.post(command(nvme_admin_async_event)); }

  Wire& io(uint16_t qid) { return *io_[qid - 1]; }
  core::Controller& controller() { return *admin.queue.controller; }

  World& world;
  std::string nqn;
  std::array<uint8_t, 16> hostid{0x42};
  std::string subnqn;
  uint16_t cntlid = 0;
  Wire admin;

 private:
  std::vector<std::unique_ptr<Wire>> io_;
};

}  // namespace nvmf::test
