// Bytes on the wire, written down once from the specification's figures: structures must not drift.
#include <doctest/doctest.h>

#include <initializer_list>

#include "target/nvme/rdma_cm.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

template <size_t size>
using Raw = std::array<uint8_t, size>;

template <size_t size>
Sqe as_capsule(const Raw<size>& raw) {
  Sqe sqe;
  static_assert(size == sizeof(sqe));
  std::memcpy(&sqe, raw.data(), size);
  return sqe;
}

bool holds(const Bytes& data, size_t offset, std::initializer_list<int> expected) {
  for (const int byte : expected) {
    if (std::to_integer<int>(data[offset++]) != byte) return false;
  }
  return true;
}

// As Linux sends it: admin queue, 32 entries, keep-alive after 5 s, keyed SGL.
constexpr Raw<64> kConnect = {
    0x7f, 0x40, 0x00, 0x00, 0x01, 0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0,  // opcode, flags, CID, FCTYPE
    0,    0,    0,    0,    0,    0,    0,    0,                                         //
    0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00,                                      // SGL1: address 80001000h
    0x00, 0x04, 0x00, 0x44, 0x33, 0x22, 0x11, 0x40,                          // 1,024 bytes, key 11223344h, keyed
    0x00, 0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00, 0x88, 0x13, 0x00, 0x00,  // RECFMT, QID, SQSIZE, CATTR, KATO
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0};

TEST_CASE("a Connect capsule, byte by byte") {
  const Sqe sqe = as_capsule(kConnect);
  CHECK(sqe.opcode == nvme_admin_fabrics);
  CHECK(sqe.fctype() == nvme_fabrics_type_connect);
  CHECK(sqe.sgl1.type() == nvme::SglType::KeyedDataBlock);
  CHECK(sqe.sgl1.address == 0x80001000);
  CHECK(sqe.sgl1.keyed_length() == 1024);
  CHECK(sqe.sgl1.key() == 0x11223344);
  const auto& connect = reinterpret_cast<const nvme::ConnectCommand&>(sqe);
  CHECK(connect.recfmt == 0);
  CHECK(connect.qid == 0);
  CHECK(connect.sqsize_z == 31);
  CHECK(connect.kato_ms == 5000);

  World world;
  Host host(world);
  CHECK(host.admin.send(sqe, to_bytes(host.connect_data(World::kNqn))).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.controller().keep_alive().timeout_ms() == 5000);
}

TEST_CASE("Connect data: host identifier, CNTLID, SUBNQN and HOSTNQN at their offsets") {
  CHECK(offsetof(nvmf_connect_data, hostid) == 0);
  CHECK(offsetof(nvmf_connect_data, cntlid) == 16);
  CHECK(offsetof(nvmf_connect_data, subsysnqn) == 256);
  CHECK(offsetof(nvmf_connect_data, hostnqn) == 512);
}

TEST_CASE("a completion entry, byte by byte") {
  const nvme::Cqe cqe{.result = 0x1122334455667788, .sqhd = 0x99aa, .sqid = 0xbbcc, .cid = 0xddee, .status = 0x4004};
  CHECK(holds(to_bytes(cqe), 0,
              {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xaa, 0x99, 0xcc, 0xbb, 0xee, 0xdd, 0x04, 0x40}));
}

TEST_CASE("statuses on the wire: shifted past the phase tag, with Do Not Retry in bit 15") {
  CHECK(Status(NVME_SC_INVALID_FIELD).wire() == 0x0004);
  CHECK(Status(NVME_SC_INVALID_FIELD).do_not_retry().wire() == 0x8004);
  CHECK(core::command_specific(NVME_SC_CONNECT_INVALID_PARAM).wire() == 0x0304);
  CHECK(core::media_error(NVME_SC_READ_ERROR).wire() == 0x0502);
}

TEST_CASE("a Read capsule with a key to invalidate, byte by byte") {
  constexpr Raw<64> kRead = {
      0x02, 0x40, 0x34, 0x12, 0x01, 0,    0,    0,    0,    0, 0, 0,    0, 0, 0, 0,  // opcode, PSDT, CID, NSID
      0,    0,    0,    0,    0,    0,    0,    0,                                   // MPTR
      0,    0,    0,    0,    1,    0,    0,    0,                                   // SGL1: address 100000000h
      0x00, 0x10, 0x00, 0x78, 0x56, 0x34, 0x12, 0x4f,                    // 4,096 bytes, key 12345678h, invalidate
      0x10, 0,    0,    0,    0,    0,    0,    0,    0x07, 0, 0, 0x40,  // SLBA 16, NLB 8 (0-based), FUA
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0};
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.io(1).send(as_capsule(kRead), Bytes(4096)).ok());
  const Disk::Seen& seen = world.disk_1.seen.back();
  CHECK(seen.slba == 16);
  CHECK(seen.blocks == 8);
  CHECK(seen.fua);
}

TEST_CASE("CAP, byte by byte") {
  World world;
  Host host(world);
  host.connect();
  CHECK(host.admin.send(property_get(NVME_REG_CAP, 1)).result == 0x080008203c01007f);
}

TEST_CASE("Identify Controller: fields at the offsets of the specification's figure") {
  World world;
  Host host(world);
  host.bring_up();
  const Bytes id = host.identify(NVME_IDENTIFY_CNS_CTRL).data;
  CHECK(holds(id, 0, {0, 0, 0, 0, 'S', 'N', '-'}));
  CHECK(holds(id, 73, {0, 0, 0}));                   // IEEE
  CHECK(holds(id, 76, {0xb, 4, 1, 0}));              // CMIC, MDTS, CNTLID
  CHECK(holds(id, 80, {0, 0, 2, 0}));                // VER
  CHECK(holds(id, 92, {0, 9, 0x30, 0}));             // OAES
  CHECK(holds(id, 96, {0x41, 0, 0, 0}));             // CTRATT
  CHECK(holds(id, 111, {1}));                        // CNTRLTYPE
  CHECK(holds(id, 128, {1, 0, 10, 0, 0, 0}));        // CRDT1 to CRDT3
  CHECK(holds(id, 258, {3, 3, 3, 0x36, 63}));        // ACL, AERL, FRMW, LPA, ELPE
  CHECK(holds(id, 266, {0x57, 1, 0x66, 1}));         // WCTEMP, CCTEMP
  CHECK(holds(id, 320, {1, 0}));                     // KAS
  CHECK(holds(id, 342, {10, 0x1f, 128, 0, 0, 0}));   // ANATT, ANACAP, ANAGRPMAX
  CHECK(holds(id, 348, {128, 0, 0, 0}));             // NANAGRPID
  CHECK(holds(id, 352, {1, 0, 0, 0}));               // PELS
  CHECK(holds(id, 512, {0x66, 0x44, 128, 0}));       // SQES, CQES, MAXCMD
  CHECK(holds(id, 516, {0, 4, 0, 0, 0xbf, 1}));      // NN, ONCS
  CHECK(holds(id, 522, {1, 0}));                     // FUSES
  CHECK(holds(id, 525, {7}));                        // VWC
  CHECK(holds(id, 534, {1, 0}));                     // OCFS
  CHECK(holds(id, 536, {5, 0, 0x14, 0}));            // SGLS
  CHECK(holds(id, 540, {0, 4, 0, 0}));               // MNAN
  CHECK(holds(id, 768, {'n', 'q', 'n', '.'}));       // SUBNQN
  CHECK(holds(id, 1792, {4, 1, 0, 0, 1, 0, 0, 0}));  // IOCCSZ, IORCSZ
  CHECK(holds(id, 1800, {0, 0, 0, 16, 1, 0}));       // ICDOFF, FCATT, MSDBD, OFCS
}

TEST_CASE("an ANA log, byte by byte") {
  World world;
  world.subsystem.set_ana_state(1, 2, core::AnaState::NonOptimized);
  Host host(world, World::kHostNqn, 2);
  host.bring_up();
  const Bytes log = host.log_page(NVME_LOG_LID_ANA, 64).data;
  CHECK(holds(log, 0, {4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}));   // Change Count, NGRPS
  CHECK(holds(log, 16, {1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0}));  // ANAGRPID, NNSIDS, CHGCNT
  CHECK(holds(log, 32, {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));  // state
  CHECK(holds(log, 48, {1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));  // NSIDs
}

TEST_CASE("Identify Namespace: Copy's limits at the offsets of the specification's figure") {
  World world;
  Host host(world);
  host.bring_up();
  const Bytes id = host.identify(NVME_IDENTIFY_CNS_NS, 1).data;
  CHECK(holds(id, 74, {0, 0x40, 0, 0x40, 0, 0, 127}));  // MSSRL, MCL, MSRC
}

TEST_CASE("a Copy capsule and its source range, byte by byte") {
  constexpr Raw<64> kCopy = {
      0x19, 0x40, 0x34, 0x12, 0x01, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,   // opcode, PSDT, CID, NSID
      0,    0,    0,    0,    0,    0, 0, 0,                              // MPTR
      0,    0,    0,    0,    0,    0, 0, 0,                              // SGL1: in the capsule, from its start
      0x20, 0,    0,    0,    0,    0, 0, 1,                              // 32 bytes
      0,    2,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0};  // SDLBA 512, 1 range of format 0h, FUA
  constexpr Raw<32> kRange = {0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 7};  // SLBA 16, NLB 8 (0-based)
  World world;
  Host host(world);
  host.bring_up(1);
  const auto* const range = reinterpret_cast<const std::byte*>(kRange.data());
  CHECK(host.io(1).send(as_capsule(kCopy), {}, Bytes(range, range + kRange.size())).ok());
  REQUIRE(world.disk_1.seen.size() == 2);
  CHECK(world.disk_1.seen[0].slba == 16);
  CHECK(world.disk_1.seen[0].blocks == 8);
  CHECK(world.disk_1.seen[1].slba == 512);
  CHECK(world.disk_1.seen[1].fua);
}

TEST_CASE("a discovery log: header and entry at the offsets of the specification's figures") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const Bytes log = host.log_page(NVME_LOG_LID_DISCOVER, 4096).data;
  CHECK(holds(log, 8, {5, 0, 0, 0, 0, 0, 0, 0, 0, 0}));  // NUMREC, RECFMT
  const size_t entry = 3072;
  CHECK(holds(log, entry, {1, 1, 2, 4, 1, 0, 0xff, 0xff, 32, 0, 0, 0}));  // TRTYPE to EFLAGS
  CHECK(holds(log, entry + 32, {'4', '4', '2', '0', ' ', ' '}));          // TRSVCID
  CHECK(holds(log, entry + 256, {'n', 'q', 'n'}));                        // SUBNQN
  CHECK(holds(log, entry + 512, {'1', '9', '2', '.'}));                   // TRADDR
  CHECK(holds(log, entry + 767, {' ', 1, 1, 1, 0}));                      // TRADDR's end, TSAS
}

TEST_CASE("RDMA-CM private data: fields at their offsets") {
  CHECK(offsetof(nvme::RdmaCmRequest, qid) == 2);
  CHECK(offsetof(nvme::RdmaCmRequest, hrqsize) == 4);
  CHECK(offsetof(nvme::RdmaCmRequest, hsqsize_z) == 6);
  CHECK(offsetof(nvme::RdmaCmRequest, cntlid) == 8);
  CHECK(offsetof(nvme::RdmaCmAccept, crqsize) == 2);
  CHECK(offsetof(nvme::RdmaCmReject, sts) == 2);
}

}  // namespace
}  // namespace nvmf::test
