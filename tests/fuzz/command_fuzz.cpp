// Arbitrary capsules, as a host with bad intentions sends them, through parse, data pointers and execution: an admin
// queue and an I/O queue, on a fresh target for each input. Whatever comes, every command is answered exactly once, no
// status is outside the vocabulary, and no byte outside a buffer is touched (run with address sanitizer).
//
// Input: a byte that says how far a well-behaved set-up goes, then records: a control byte (see Control), 64 bytes of
// SQE, and the data that the control byte announces, in the capsule and in the host's memory alike.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "target/core/command/abort.h"
#include "target/core/command/command.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/scratch.h"
#include "target/core/subsystem/async_event.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/fabrics.h"

namespace {

using namespace nvmf;  // NOLINT: a program of its own

constexpr char kNqn[] = "nqn.2024-01.org.example:fuzz";
constexpr char kHostNqn[] = "nqn.2024-01.org.example:host";

void require(bool condition) {
  if (!condition) std::abort();
}

class Disk : public core::IoChannel {
 public:
  explicit Disk(uint64_t blocks) : blocks_(blocks) {}
  // Holds the protocol to its side of the seam: what it submits is within the namespace.
  void submit(core::Io& io) override {
    require(io.slba <= blocks_ && io.blocks <= blocks_ - io.slba);
    if (io.kind == core::IoKind::Read) std::memset(io.data.address, 0x5a, io.data.length_bytes);
    if (io.kind == core::IoKind::ZoneManagementReceive) report(io);
    io.done(io, core::kSuccess);
  }
  // What reports of zones consist of, again and again.
  std::vector<std::byte> reported;

 private:
  void report(const core::Io& io) const {
    for (size_t i = 0; i < io.data.length_bytes; ++i)
      io.data.address[i] = reported.empty() ? std::byte{1} : reported[i % reported.size()];
  }
  uint64_t blocks_;
};

struct Command : core::Request {
  nvme::Sqe capsule{};
  std::vector<std::byte> in_capsule;
  std::vector<std::byte> buffer;
  int answers = 0;
};

class Connection : public core::QueueLink {
 public:
  Connection(core::Target& target, uint16_t qid, const core::IoNamespaceTable& table) : table_(table) {
    queue.target = &target;
    queue.link = this;
    queue.qid = qid;
    queue.depth = 32;
    queue.in_capsule_bytes = qid == 0 ? 0 : 4096;
  }

  void receive(const nvme::Sqe& sqe, std::span<const std::byte> in_capsule, std::span<const std::byte> remote) {
    Command& command = *commands_.emplace_back(std::make_unique<Command>());
    command.queue = &queue;
    command.capsule = sqe;
    command.sqe = &command.capsule;
    command.in_capsule.assign(in_capsule.begin(), in_capsule.end());
    command.respond = [](core::Request& request) { ++static_cast<Command&>(request).answers; };
    run(command, remote);
    const bool may_wait = command.awaits_event || command.fused;
    require(command.answers == 1 || (may_wait && command.answers == 0));
  }

  void close(core::Target& target) {
    core::drop_lone_half(queue);
    core::drop_parked(queue);
    target.queue_closed(queue);
    for (const auto& command : commands_) require(command->answers == 1);
  }

  void disconnect(const std::string&) override {}
  // Whatever reached its disk has been answered at once.
  void quiesce(std::function<void()> done) override {
    core::drop_lone_half(queue);
    done();
  }
  void abort(uint16_t cid, std::function<void(bool aborted)> done) override {
    bool aborted = false;
    for (const auto& command : commands_)
      if (command->answers == 0 && command->capsule.cid == cid)
        aborted |= core::abort_executed(*command, core::kAbortRequested);
    done(aborted);
  }
  // Whatever is on a namespace here has been answered at once, or is half of a pair.
  void abort_all(uint32_t nsid, std::function<void()> done) override {
    for (const auto& command : commands_)
      if (command->answers == 0 && command->ns && command->ns->nsid == nsid)
        core::abort_executed(*command, core::kPreempted);
    done();
  }
  bool is_closing() const override { return false; }
  uint32_t reserve_io_queues(uint32_t wanted) override { return wanted; }
  const core::IoNamespaceTable* io_namespaces(const core::Subsystem&) override { return &table_; }
  uint16_t port_id() const override { return 1; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_address() const override { return local_address_; }

  core::Queue queue;

 private:
  static void run(Command& command, std::span<const std::byte> remote) {
    core::Status status = core::parse(command);
    if (status == core::kNoAnswer) {
      ++command.answers;
      return;
    }
    if (!status.ok()) return core::finish(command, status);
    const bool to_controller = command.transfer == core::Transfer::HostToController;
    require(command.execute != nullptr);
    require((command.transfer == core::Transfer::None) == (command.length_bytes == 0));
    require(command.length_bytes <= core::limits::kMaxTransferBytes);
    status = core::parse_data_pointer(command.capsule, command.in_capsule, command.length_bytes, to_controller,
                                      command.pointer);
    if (!status.ok()) return core::finish(command, status);
    place(command, remote);
    command.execute(command);
  }

  static void place(Command& command, std::span<const std::byte> remote) {
    check(command);
    command.data = {};
    command.data.length_bytes = command.length_bytes;
    const bool in_capsule = command.pointer.kind == core::DataPointer::Kind::InCapsule;
    if (in_capsule && command.scratch_bytes == 0) {
      command.data.address = command.in_capsule.data() + command.pointer.capsule_offset;
      return;
    }
    command.buffer.resize(core::buffer_bytes(command));
    if (in_capsule) remote = std::span<const std::byte>(command.in_capsule).subspan(command.pointer.capsule_offset);
    if (command.transfer == core::Transfer::HostToController) {
      for (size_t i = 0; i < command.length_bytes && i < remote.size(); ++i) command.buffer[i] = remote[i];
    }
    command.data.address = command.buffer.data();
  }

  // What the transport relies on.
  static void check(const Command& command) {
    const core::DataPointer& pointer = command.pointer;
    require(pointer.segment_count <= core::limits::kMaxSglDescriptors);
    if (pointer.kind == core::DataPointer::Kind::InCapsule) {
      require(uint64_t{pointer.capsule_offset} + command.length_bytes <= command.in_capsule.size());
    }
    uint64_t total = 0;
    for (size_t i = 0; i < pointer.segment_count; ++i) total += pointer.segments[i].length_bytes;
    require(pointer.kind != core::DataPointer::Kind::Remote || total == command.length_bytes);
  }

  const core::IoNamespaceTable& table_;
  std::string peer_ = "192.0.2.7:1";
  std::string local_address_ = "192.0.2.1";
  std::vector<std::unique_ptr<Command>> commands_;
};

nvmf_connect_data connect_data(const char* subnqn, uint16_t cntlid) {
  nvmf_connect_data data{};
  data.hostid[0] = 1;
  data.cntlid = cntlid;
  std::memcpy(data.subsysnqn, subnqn, std::strlen(subnqn));
  std::memcpy(data.hostnqn, kHostNqn, sizeof(kHostNqn));
  return data;
}

nvme::Sqe fabrics(uint8_t fctype) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_fabrics;
  sqe.nsid = fctype;
  sqe.sgl1.identifier = 0x40;
  sqe.sgl1.specific[1] = 4;
  return sqe;
}

void connect(Connection& connection, const nvmf_connect_data& data) {
  nvme::Sqe sqe = fabrics(nvme_fabrics_type_connect);
  sqe.cdw10 = uint32_t{connection.queue.qid} << 16;
  sqe.cdw11 = 31;
  connection.receive(sqe, {}, std::as_bytes(std::span(&data, 1)));
}

void enable(Connection& admin) {
  nvme::Sqe sqe = fabrics(nvme_fabrics_type_property_set);
  sqe.cdw11 = NVME_REG_CC;
  sqe.cdw12 =
      1u | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT | uint32_t{NVME_CC_CSS_CSI} << NVME_CC_CSS_SHIFT;
  admin.receive(sqe, {}, {});
}

// A target with three namespaces, of which one can everything, one is zoned, and one can nothing.
struct Subject {
  core::FusedTurns able_turns{nullptr};
  core::FusedTurns zoned_turns{nullptr};
  core::FusedTurns plain_turns{nullptr};
  core::Target target{{.max_transfer_bytes = 131072, .max_queue_depth = 32, .max_io_queues = 2}};
  Disk disk{1000};
  std::array<core::WriteGate, 3> gates;
  core::IoNamespace able;
  core::IoNamespace zoned;
  core::IoNamespace plain;
  core::IoNamespaceTable table;

  Subject() {
    target.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
    core::SubsystemOptions options;
    options.nqn = kNqn;
    options.ports = {1};
    options.allow_any_host = true;
    core::Subsystem& subsystem = target.add_subsystem(options);
    subsystem.add_namespace({.nsid = 1, .lba_shift = 9, .block_count = 1000, .volatile_write_cache = true});
    zoned.zones = {.zone_blocks = 10, .extension_bytes = 64};
    subsystem.add_namespace({.nsid = 2, .lba_shift = 9, .block_count = 1000, .zones = zoned.zones});
    subsystem.add_namespace({.nsid = 3, .lba_shift = 12, .block_count = 1000});
    describe(able, 1, 9, able_turns);
    describe(zoned, 2, 9, zoned_turns);
    describe(plain, 3, 12, plain_turns);
    able.own_commands = core::kOwnWriteUncorrectable;
    able.supports_deallocate = able.supports_write_zeroes = true;
    table.by_nsid = {&able, &zoned, &plain};
    table.max_transfer_bytes = 131072;
  }
  void describe(core::IoNamespace& ns, uint32_t nsid, uint8_t lba_shift, core::FusedTurns& turns) {
    ns.nsid = nsid;
    ns.lba_shift = lba_shift;
    ns.block_count = 1000;
    ns.channel = &disk;
    ns.copy = core::composed_copy_limits(lba_shift);
    ns.gate = &gates[nsid - 1];
    turns.add(*ns.gate, nullptr);
  }
};

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  uint8_t byte() {
    const std::span<const std::byte> one = take(1);
    return one.empty() ? uint8_t{0} : std::to_integer<uint8_t>(one[0]);
  }
  std::span<const std::byte> take(size_t size) {
    const size_t taken = std::min(size, bytes_.size());
    const std::span<const std::byte> front = bytes_.first(taken);
    bytes_ = bytes_.subspan(taken);
    return front;
  }

 private:
  std::span<const std::byte> bytes_;
};

// How far the host has come properly before it goes wrong.
void set_up(uint8_t stage, Connection& admin, Connection& io) {
  if ((stage & 3) == 0) return;
  const bool discovery = (stage & 4) != 0;
  connect(admin, connect_data(discovery ? nvme::kDiscoveryNqn : kNqn, nvme::kCntlidDynamic));
  if ((stage & 3) >= 2) enable(admin);
  if ((stage & 3) == 3) connect(io, connect_data(kNqn, 1));
}

// Most random commands die of their first bytes. Where the control byte says so, these are made right, so that the
// rest is looked at.
struct Control {
  uint8_t value;
  bool io_queue() const { return (value & 0x80) != 0; }
  bool known_opcode() const { return (value & 0x40) != 0; }
  bool good_pointer() const { return (value & 0x20) != 0; }
  size_t data_bytes() const { return (value & 0x1f) * size_t{64}; }
};

void make_right(const Control& control, nvme::Sqe& sqe) {
  constexpr uint8_t kAdmin[] = {nvme_admin_get_log_page, nvme_admin_identify,     nvme_admin_abort_cmd,
                                nvme_admin_set_features, nvme_admin_get_features, nvme_admin_async_event,
                                nvme_admin_keep_alive,   nvme_admin_fabrics};
  constexpr uint8_t kIo[] = {nvme_cmd_flush,        nvme_cmd_write,     nvme_cmd_read,       nvme_cmd_write_zeroes,
                             nvme_cmd_dsm,          nvme_cmd_compare,   nvme_cmd_verify,     nvme_cmd_copy,
                             nvme_cmd_write_uncor,  nvme_admin_fabrics, nvme_zns_cmd_append, nvme_zns_cmd_mgmt_send,
                             nvme_zns_cmd_mgmt_recv};
  constexpr uint8_t kFabrics[] = {nvme_fabrics_type_property_set, nvme_fabrics_type_connect,
                                  nvme_fabrics_type_property_get, nvme_fabrics_type_disconnect};
  if (control.known_opcode()) {
    sqe.opcode = control.io_queue() ? kIo[sqe.opcode % sizeof(kIo)] : kAdmin[sqe.opcode % sizeof(kAdmin)];
    const bool fused = sqe.flags >> 6 == 3;  // a quarter of them
    sqe.flags = static_cast<uint8_t>(0x40 | (fused ? sqe.flags & 3 : 0));
    if (sqe.opcode == nvme_admin_fabrics) sqe.nsid = kFabrics[sqe.nsid % sizeof(kFabrics)];
  }
  if (control.good_pointer()) {
    sqe.sgl1 = {};
    sqe.sgl1.identifier = 0x40;
    sqe.sgl1.specific[2] = 0xff;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Subject subject;
  Connection admin(subject.target, 0, subject.table);
  Connection io(subject.target, 1, subject.table);
  Input input(std::as_bytes(std::span(data, size)));
  set_up(input.byte(), admin, io);
  while (!input.empty()) {
    const Control control{input.byte()};
    nvme::Sqe sqe{};
    const std::span<const std::byte> raw = input.take(sizeof(sqe));
    std::memcpy(&sqe, raw.data(), raw.size());
    make_right(control, sqe);
    const std::span<const std::byte> carried = input.take(control.data_bytes());
    subject.disk.reported.assign(carried.begin(), carried.end());
    Connection& connection = control.io_queue() ? io : admin;
    connection.receive(sqe, carried, carried);
  }
  io.close(subject.target);
  admin.close(subject.target);
  require(subject.target.subsystems()[0]->controllers().empty());
  return 0;
}
