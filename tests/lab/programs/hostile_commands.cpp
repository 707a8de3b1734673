// Capsules with one thing wrong each. What the specification names gets its status and leaves the connection up; what
// breaks the transport ends the connection, and nothing else.
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using nvme::ConnectCommand;
using nvme::SglSubtype;
using nvme::SglType;
using nvme::Sqe;

constexpr uint16_t specific(unsigned sc) { return static_cast<uint16_t>(NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | sc); }

// Namespace 1 has blocks of 512 bytes.
Sqe transfer(HostQueue& queue, uint8_t opcode, uint32_t blocks = 8) {
  Sqe sqe = command(opcode, 1);
  sqe.sgl1 = keyed(queue, blocks * 512);
  sqe.cdw12 = blocks - 1;
  return sqe;
}

struct Wrong {
  const char* what;
  uint16_t expected;
  std::function<std::vector<std::byte>(HostQueue&)> capsule;
};

template <class Command>
std::vector<std::byte> capsule_of(const Command& sqe, size_t in_capsule_bytes = 0) {
  std::vector<std::byte> capsule(sizeof sqe + in_capsule_bytes);
  std::memcpy(capsule.data(), &sqe, sizeof sqe);
  return capsule;
}

// A Read or Write of 4 KiB with one change.
auto changed(uint8_t opcode, std::function<void(Sqe&)> change) {
  return [opcode, change = std::move(change)](HostQueue& queue) {
    Sqe sqe = transfer(queue, opcode);
    change(sqe);
    return capsule_of(sqe);
  };
}

// A Write of 4 KiB whose data is said to be in the capsule.
auto in_capsule(uint64_t offset, uint32_t length_bytes, size_t sent_bytes) {
  return [=](HostQueue& queue) {
    Sqe sqe = transfer(queue, nvme_cmd_write);
    sqe.sgl1 = descriptor(SglType::DataBlock, SglSubtype::Offset, offset, length_bytes);
    return capsule_of(sqe, sent_bytes);
  };
}

// A Write whose last segment, in the capsule, holds `count` descriptors made by `each`.
auto segment(uint32_t length_bytes, size_t count, std::function<nvme::SglDescriptor(HostQueue&)> each) {
  return [length_bytes, count, each = std::move(each)](HostQueue& queue) {
    Sqe sqe = transfer(queue, nvme_cmd_write);
    sqe.sgl1 = descriptor(SglType::LastSegment, SglSubtype::Offset, 0, length_bytes);
    auto capsule = capsule_of(sqe, count * sizeof(nvme::SglDescriptor));
    const nvme::SglDescriptor made = each(queue);
    for (size_t i = 0; i < count; ++i) std::memcpy(capsule.data() + sizeof sqe + i * sizeof made, &made, sizeof made);
    return capsule;
  };
}

auto block_of(uint32_t length_bytes) {
  return [length_bytes](HostQueue& queue) { return keyed(queue, length_bytes); };
}

const std::vector<Wrong>& wrong_io() {
  static const std::vector<Wrong> all = {
      {"Read of 4 KiB, well-formed", NVME_SC_SUCCESS, changed(nvme_cmd_read, [](Sqe&) {})},
      {"Write of 4 KiB, well-formed", NVME_SC_SUCCESS, changed(nvme_cmd_write, [](Sqe&) {})},
      {"Write of 4 KiB in the capsule, well-formed", NVME_SC_SUCCESS, in_capsule(0, 4096, 4096)},
      {"Property Get on an I/O queue", specific(NVME_SC_DISCONNECT_INVALID_QTYPE),
       [](HostQueue&) {
         nvme::PropertyCommand get{};
         get.opcode = nvme_admin_fabrics;
         get.flags = 0x40;
         get.fctype = nvme_fabrics_type_property_get;
         return capsule_of(get);
       }},
      {"opcode FFh", NVME_SC_INVALID_OPCODE, changed(0xff, [](Sqe&) {})},
      {"opcode 7Eh", NVME_SC_INVALID_OPCODE, changed(0x7e, [](Sqe&) {})},
      {"fabrics command type FFh", NVME_SC_INVALID_OPCODE, changed(nvme_admin_fabrics, [](Sqe& s) { s.nsid = 0xff; })},
      {"a second Connect", NVME_SC_CMD_SEQ_ERROR,
       changed(nvme_admin_fabrics, [](Sqe& s) { s.nsid = nvme_fabrics_type_connect; })},
      {"PRPs", NVME_SC_INVALID_FIELD, changed(nvme_cmd_read, [](Sqe& s) { s.flags = 0; })},
      {"metadata SGL", NVME_SC_INVALID_FIELD, changed(nvme_cmd_read, [](Sqe& s) { s.flags = 0x80; })},
      {"reserved fuse value", NVME_SC_INVALID_FIELD, changed(nvme_cmd_read, [](Sqe& s) { s.flags |= 3; })},
      {"namespace 0", NVME_SC_INVALID_NS, changed(nvme_cmd_read, [](Sqe& s) { s.nsid = 0; })},
      {"namespace 99", NVME_SC_INVALID_NS, changed(nvme_cmd_read, [](Sqe& s) { s.nsid = 99; })},
      {"namespace FFFFFFFFh", NVME_SC_INVALID_NS, changed(nvme_cmd_write, [](Sqe& s) { s.nsid = NVME_NSID_ALL; })},
      {"first block behind the end", NVME_SC_LBA_RANGE, changed(nvme_cmd_read, [](Sqe& s) { s.cdw11 = 1; })},
      {"first block 2^64 - 1", NVME_SC_LBA_RANGE, changed(nvme_cmd_write, [](Sqe& s) { s.cdw10 = s.cdw11 = ~0u; })},
      {"Write Zeroes behind the end", NVME_SC_LBA_RANGE, changed(nvme_cmd_write_zeroes, [](Sqe& s) { s.cdw11 = ~0u; })},
      {"more blocks than MDTS", NVME_SC_INVALID_FIELD, changed(nvme_cmd_read, [](Sqe& s) { s.cdw12 = 0x1fff; })},
      {"Verify that inserts protection information", NVME_SC_INVALID_FIELD,
       changed(nvme_cmd_verify, [](Sqe& s) { s.cdw12 |= 1u << 29; })},
      {"keyed descriptor shorter than the transfer", NVME_SC_SGL_INVALID_DATA,
       changed(nvme_cmd_read, [](Sqe& s) { s.cdw12 = 15; })},
      {"descriptor type 0h with an address", NVME_SC_SGL_INVALID_TYPE,
       changed(nvme_cmd_read, [](Sqe& s) { s.sgl1.identifier = 0x00; })},
      {"bit bucket descriptor", NVME_SC_SGL_INVALID_TYPE,
       changed(nvme_cmd_read, [](Sqe& s) { s.sgl1.identifier = 0x10; })},
      {"keyed descriptor of subtype 1h", NVME_SC_SGL_INVALID_TYPE,
       changed(nvme_cmd_read, [](Sqe& s) { s.sgl1.identifier = 0x41; })},
      {"vendor descriptor", NVME_SC_SGL_INVALID_TYPE,
       changed(nvme_cmd_write, [](Sqe& s) { s.sgl1.identifier = 0xff; })},
      {"Read into the capsule", NVME_SC_SGL_INVALID_TYPE,
       changed(nvme_cmd_read, [](Sqe& s) { s.sgl1 = descriptor(SglType::DataBlock, SglSubtype::Offset, 0, 4096); })},
      {"in-capsule offset behind the capsule", NVME_SC_SGL_INVALID_OFFSET, in_capsule(8192, 4096, 4096)},
      {"in-capsule offset 2^64 - 1", NVME_SC_SGL_INVALID_OFFSET, in_capsule(~uint64_t{0}, 4096, 4096)},
      {"in-capsule data longer than the capsule", NVME_SC_SGL_INVALID_DATA, in_capsule(0, 4096, 512)},
      {"in-capsule length FFFFFFFFh", NVME_SC_SGL_INVALID_DATA, in_capsule(0, ~0u, 4096)},
      {"in-capsule data shorter than the transfer", NVME_SC_SGL_INVALID_DATA, in_capsule(0, 512, 4096)},
      {"last segment of two descriptors, well-formed", NVME_SC_SUCCESS, segment(32, 2, block_of(2048))},
      {"last segment of no descriptors", NVME_SC_SGL_INVALID_LAST, segment(0, 1, block_of(4096))},
      {"last segment of 8 bytes", NVME_SC_SGL_INVALID_LAST, segment(8, 1, block_of(4096))},
      {"last segment that the capsule does not hold", NVME_SC_SGL_INVALID_LAST, segment(32, 1, block_of(4096))},
      {"last segment of 128 descriptors", NVME_SC_SGL_INVALID_COUNT, segment(128 * 16, 128, block_of(32))},
      {"last segment in a last segment", NVME_SC_SGL_INVALID_TYPE,
       segment(16, 1, [](HostQueue&) { return descriptor(SglType::LastSegment, SglSubtype::Offset, 0, 16); })},
      {"Dataset Management of blocks behind the end", NVME_SC_LBA_RANGE,
       [](HostQueue&) {
         Sqe sqe = command(nvme_cmd_dsm, 1);
         sqe.cdw11 = NVME_DSMGMT_AD;
         sqe.sgl1 = descriptor(SglType::DataBlock, SglSubtype::Offset, 0, 16);
         nvme_dsm_range range{};
         range.nlb = 8;
         range.slba = ~uint64_t{0};
         auto capsule = capsule_of(sqe, sizeof range);
         std::memcpy(capsule.data() + sizeof sqe, &range, sizeof range);
         return capsule;
       }},
  };
  return all;
}

const std::vector<Wrong>& wrong_admin() {
  const auto admin = [](uint8_t opcode, std::function<void(Sqe&)> change) {
    return [opcode, change = std::move(change)](HostQueue& queue) {
      Sqe sqe = command(opcode);
      sqe.sgl1 = keyed(queue, 4096);
      change(sqe);
      return capsule_of(sqe);
    };
  };
  static const std::vector<Wrong> all = {
      {"Keep Alive, well-formed", NVME_SC_SUCCESS, admin(nvme_admin_keep_alive, [](Sqe&) {})},
      {"Write on the admin queue", NVME_SC_INVALID_OPCODE, admin(nvme_cmd_write, [](Sqe& s) { s.nsid = 1; })},
      {"Create I/O Completion Queue", NVME_SC_INVALID_OPCODE, admin(nvme_admin_create_cq, [](Sqe&) {})},
      {"Identify with a CNS that is not there", NVME_SC_INVALID_FIELD,
       admin(nvme_admin_identify, [](Sqe& s) { s.cdw10 = 0xee; })},
      {"Identify of namespace FFFFFFFEh", NVME_SC_INVALID_NS,
       admin(nvme_admin_identify, [](Sqe& s) { s.nsid = NVME_NSID_ALL - 1; })},
      {"Identify into 16 bytes", NVME_SC_SGL_INVALID_DATA,
       [](HostQueue& queue) {
         Sqe sqe = command(nvme_admin_identify);
         sqe.cdw10 = NVME_IDENTIFY_CNS_CTRL;
         sqe.sgl1 = keyed(queue, 16);
         return capsule_of(sqe);
       }},
      {"Get Log Page with an identifier that is not there", specific(NVME_SC_INVALID_LOG_PAGE),
       admin(nvme_admin_get_log_page, [](Sqe& s) { s.cdw10 = 0xee | 15u << 16; })},
      {"Get Features with an identifier that is not there", NVME_SC_INVALID_FIELD,
       admin(nvme_admin_get_features, [](Sqe& s) { s.cdw10 = 0xee; })},
      {"Property Get of an offset that is not there", NVME_SC_INVALID_FIELD,
       [](HostQueue&) {
         nvme::PropertyCommand get{};
         get.opcode = nvme_admin_fabrics;
         get.flags = 0x40;
         get.fctype = nvme_fabrics_type_property_get;
         get.offset = 0x7ff0;
         return capsule_of(get);
       }},
      {"Disconnect on the admin queue", specific(NVME_SC_DISCONNECT_INVALID_QTYPE),
       admin(nvme_admin_fabrics, [](Sqe& s) { s.nsid = nvme_fabrics_type_disconnect; })},
  };
  return all;
}

std::string in_hex(uint16_t status) {
  char text[8];
  std::snprintf(text, sizeof text, "%03Xh", status);
  return text;
}

std::string in_words(const std::optional<nvme::Cqe>& cqe) {
  return cqe ? "status " + in_hex(status_of(*cqe)) : "no answer";
}

void expect_status(Expectations& expectations, const std::string& what, uint16_t expected,
                   const std::optional<nvme::Cqe>& cqe) {
  expectations.check(cqe && status_of(*cqe) == expected, what + " gets " + in_hex(expected), in_words(cqe));
}

void send_all(const std::vector<Wrong>& capsules, HostQueue& queue, Expectations& expectations) {
  for (const Wrong& wrong : capsules) {
    const auto cqe = queue.send(wrong.capsule(queue)) ? queue.response(kAnswerTimeout) : std::nullopt;
    expect_status(expectations, wrong.what, wrong.expected, cqe);
  }
}

// Connect ------------------------------------------------------------------------------------------------------------

struct WrongConnect {
  const char* what;
  uint16_t expected;
  std::function<void(ConnectCommand&, nvmf_connect_data&)> change;
};

void send_wrong_connects(const Where& where, uint16_t qid, uint16_t cntlid, const std::vector<WrongConnect>& wrong,
                         Expectations& expectations) {
  for (const WrongConnect& one : wrong) {
    const auto queue = open_queue(where, qid);
    ConnectCommand connect = connect_command(*queue, where, qid, cntlid);
    one.change(connect, *reinterpret_cast<nvmf_connect_data*>(queue->data().data()));
    expect_status(expectations, one.what, one.expected, ask(*queue, connect));
  }
}

void attack_connect(const Where& where, Expectations& expectations) {
  constexpr uint16_t kInvalid = specific(NVME_SC_CONNECT_INVALID_PARAM);
  send_wrong_connects(
      where, 0, nvme::kCntlidDynamic,
      {{"Connect of record format 1", specific(NVME_SC_CONNECT_FORMAT), [](auto& c, auto&) { c.recfmt = 1; }},
       {"Connect of another queue id", kInvalid, [](auto& c, auto&) { c.qid = 1; }},
       {"Connect of a queue of one entry", kInvalid, [](auto& c, auto&) { c.sqsize_z = 0; }},
       {"Connect of a queue larger than the connection's", kInvalid, [](auto& c, auto&) { c.sqsize_z = 0xffff; }},
       {"Connect to an unknown subsystem", kInvalid, [](auto&, auto& d) { d.subsysnqn[4] ^= 1; }},
       {"Connect with an unterminated subsystem NQN", kInvalid,
        [](auto&, auto& d) { std::memset(d.subsysnqn, 'x', sizeof d.subsysnqn); }},
       {"Connect with an unterminated host NQN", kInvalid,
        [](auto&, auto& d) { std::memset(d.hostnqn, 'x', sizeof d.hostnqn); }},
       {"Connect to controller 1, which the host may not choose", kInvalid, [](auto&, auto& d) { d.cntlid = 1; }},
       {"Connect with too little data", NVME_SC_SGL_INVALID_DATA, [](auto& c, auto&) { c.sgl1.specific[1] = 1; }}},
      expectations);

  Session session = connect_admin(where);
  send_wrong_connects(where, 1, session.cntlid,
                      {{"I/O queue before CC.EN", NVME_SC_CMD_SEQ_ERROR, [](auto&, auto&) {}}}, expectations);
  enable(session);
  send_wrong_connects(where, 1, session.cntlid,
                      {{"I/O queue of another controller", kInvalid, [](auto&, auto& d) { d.cntlid = 0xfff0; }},
                       {"I/O queue of another host", kInvalid, [](auto&, auto& d) { d.hostnqn[40] ^= 1; }},
                       {"I/O queue with another host identifier", kInvalid, [](auto&, auto& d) { d.hostid[0] ^= 1; }}},
                      expectations);
  add_io_queue(session, where);
  send_wrong_connects(where, 1, session.cntlid, {{"an I/O queue twice", NVME_SC_CMD_SEQ_ERROR, [](auto&, auto&) {}}},
                      expectations);
}

void attack_before_connect(const Where& where, Expectations& expectations) {
  const auto admin = open_queue(where, 0);
  Sqe identify = command(nvme_admin_identify);
  identify.sgl1 = keyed(*admin, 4096);
  expect_status(expectations, "Identify before Connect", NVME_SC_CMD_SEQ_ERROR, ask(*admin, identify));
  const auto io = open_queue(where, 1);
  expect_status(expectations, "Read before Connect", NVME_SC_CMD_SEQ_ERROR, ask(*io, transfer(*io, nvme_cmd_read)));
}

// Fatal to the connection --------------------------------------------------------------------------------------------

struct Fatal {
  const char* what;
  std::function<std::vector<std::byte>(HostQueue&)> capsule;
};

const std::vector<Fatal>& fatal_capsules() {
  const auto bytes = [](size_t count) { return [count](HostQueue&) { return std::vector<std::byte>(count); }; };
  static const std::vector<Fatal> all = {
      {"a capsule of no bytes", bytes(0)},
      {"a capsule of 1 byte", bytes(1)},
      {"a capsule of 63 bytes", bytes(63)},
      {"a capsule longer than IOCCSZ", bytes(64 + 16384 + 1)},
      {"a Read into memory that is not the host's", changed(nvme_cmd_read, [](Sqe& s) { s.sgl1.specific[4] ^= 0xff; })},
      {"a Write from memory that is not the host's",
       changed(nvme_cmd_write, [](Sqe& s) { s.sgl1.specific[4] ^= 0xff; })},
      {"a Read to an address that is not the host's", changed(nvme_cmd_read, [](Sqe& s) { s.sgl1.address = 4096; })},
  };
  return all;
}

void attack_connection(const Where& where, Expectations& expectations) {
  for (const Fatal& fatal : fatal_capsules()) {
    Session session = connect_all(where);
    session.io->send(fatal.capsule(*session.io));
    expectations.check(session.io->closed(kAnswerTimeout), std::string(fatal.what) + " ends the connection");
    Sqe alive = command(nvme_admin_keep_alive);
    const auto cqe = ask(*session.admin, alive);
    expect_status(expectations, "Keep Alive on its admin queue afterwards", NVME_SC_SUCCESS, cqe);
  }
}

// The answer leaves before the connection does.
void part_with_disconnect(const Where& where, Expectations& expectations) {
  Session session = connect_all(where);
  nvme::DisconnectCommand disconnect{};
  disconnect.opcode = nvme_admin_fabrics;
  disconnect.flags = 0x40;
  disconnect.fctype = nvme_fabrics_type_disconnect;
  expect_status(expectations, "Disconnect", NVME_SC_SUCCESS, ask(*session.io, disconnect));
  expectations.check(session.io->closed(kAnswerTimeout), "the connection ends after Disconnect");
  expect_status(expectations, "Keep Alive on its admin queue afterwards", NVME_SC_SUCCESS,
                ask(*session.admin, command(nvme_admin_keep_alive)));
}

}  // namespace

unsigned attack_commands(const Where& where) {
  Expectations expectations;
  attack_before_connect(where, expectations);
  attack_connect(where, expectations);
  Session session = connect_all(where);
  send_all(wrong_io(), *session.io, expectations);
  send_all(wrong_admin(), *session.admin, expectations);
  attack_connection(where, expectations);
  part_with_disconnect(where, expectations);
  return expectations.failed();
}

}  // namespace nvmf::lab
