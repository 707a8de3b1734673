// Property Get, Property Set and the controller's states: NVMe Base 2.0, sections 3.1.3, 3.5 to 3.7, 6.5 and 6.6.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kReady = 1u << NVME_CSTS_RDY_SHIFT;
constexpr uint32_t kFatal = 1u << NVME_CSTS_CFS_SHIFT;
constexpr uint32_t kShutdownComplete = uint32_t{NVME_CSTS_SHST_CMPLT} << NVME_CSTS_SHST_SHIFT;
constexpr uint32_t kShutdownNormal = uint32_t{NVME_CC_SHN_NORMAL} << NVME_CC_SHN_SHIFT;
constexpr uint32_t kShutdownAbrupt = uint32_t{NVME_CC_SHN_ABRUPT} << NVME_CC_SHN_SHIFT;

TEST_CASE("host reads CAP: target answers what it can do") {
  World world;
  Host host(world);
  host.connect();
  const uint64_t cap = host.admin.send(property_get(NVME_REG_CAP, 1)).result;
  CHECK((cap & 0xffff) == 127);                    // MQES
  CHECK((cap >> NVME_CAP_CQR_SHIFT & 1) == 1);     // contiguous queues
  CHECK((cap >> NVME_CAP_AMS_SHIFT & 3) == 0);     // round robin
  CHECK((cap >> NVME_CAP_TO_SHIFT & 0xff) == 60);  // 30 s
  CHECK((cap >> NVME_CAP_CSS_SHIFT & 0xff) == (NVME_CAP_CSS_NVM | NVME_CAP_CSS_CSI));
  CHECK((cap >> NVME_CAP_MPSMIN_SHIFT & 0xff) == 0);  // 4 KiB, minimum and maximum
  CHECK((cap >> NVME_CAP_CRMS_SHIFT & 3) == NVME_CAP_CRWMS);
}

TEST_CASE("host reads VS, CRTO, CC and CSTS of a fresh controller") {
  World world;
  Host host(world);
  host.connect();
  CHECK(host.admin.send(property_get(NVME_REG_VS)).result == 0x20000);
  CHECK(host.admin.send(property_get(NVME_REG_CRTO)).result == 60);
  CHECK(host.admin.send(property_get(NVME_REG_CC)).result == 0);
  CHECK(host.csts() == 0);
}

TEST_CASE("host reads properties that are not there, or with the wrong size: Invalid Field") {
  World world;
  Host host(world);
  host.connect();
  for (const Sqe& sqe : {property_get(NVME_REG_CAP, 0), property_get(NVME_REG_VS, 1), property_get(NVME_REG_INTMS),
                         property_get(NVME_REG_NSSR), property_get(NVME_REG_AQA), property_get(0xfffffffc),
                         property_get(NVME_REG_CAP + 4), property_get(NVME_REG_VS, 2), property_get(NVME_REG_VS, 7)}) {
    const Answer answer = host.admin.send(sqe);
    CHECK(answer.status == NVME_SC_INVALID_FIELD);
    CHECK(answer.do_not_retry);
    CHECK(answer.more);
  }
}

TEST_CASE("host writes properties that are read-only: Invalid Field, and nothing changes") {
  World world;
  Host host(world);
  host.connect();
  CHECK(host.admin.send(property_set(NVME_REG_CSTS, 1)).status == NVME_SC_INVALID_FIELD);
  CHECK(host.admin.send(property_set(NVME_REG_CAP, 1, 1)).status == NVME_SC_INVALID_FIELD);
  CHECK(host.admin.send(property_set(NVME_REG_CC, kEnable, 1)).status == NVME_SC_INVALID_FIELD);
  CHECK(host.csts() == 0);
}

TEST_CASE("host sends Property Get or Set on an I/O queue: Invalid Queue Type") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.io(1).send(property_get(NVME_REG_VS)).status == specific(NVME_SC_DISCONNECT_INVALID_QTYPE));
  CHECK(host.io(1).send(property_set(NVME_REG_CC, 0)).status == specific(NVME_SC_DISCONNECT_INVALID_QTYPE));
  CHECK(host.csts() == kReady);
}

TEST_CASE("host sends an unknown fabrics command type: Invalid Command Opcode, at FCTYPE") {
  World world;
  Host host(world);
  host.bring_up(1);
  Sqe sqe = property_get(NVME_REG_VS);
  sqe.nsid = 0x7e;
  CHECK(host.admin.send(sqe).status == NVME_SC_INVALID_OPCODE);
  CHECK(host.io(1).send(sqe).status == NVME_SC_INVALID_OPCODE);
  CHECK(host.controller().errors().entry(0).parm_error_location == 4);
}

TEST_CASE("host enables the controller: ready") {
  World world;
  Host host(world);
  host.connect();
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).status == NVME_SC_CMD_SEQ_ERROR);
  // Linux writes the fields first and the enable bit afterwards.
  CHECK(host.enable(kEnable & ~1u).ok());
  CHECK(host.csts() == 0);
  CHECK(host.enable().ok());
  CHECK(host.csts() == kReady);
  CHECK(host.admin.send(property_get(NVME_REG_CC)).result == kEnable);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
}

TEST_CASE("host enables with what CAP does not offer: fatal status until it disables") {
  World world;
  Host host(world);
  host.connect();
  uint32_t cc = kEnable;
  SUBCASE("no I/O command set") { cc |= uint32_t{NVME_CC_CSS_ADMIN} << NVME_CC_CSS_SHIFT; }
  SUBCASE("a reserved command set") { cc |= 1u << NVME_CC_CSS_SHIFT; }
  SUBCASE("larger pages") { cc |= 1u << NVME_CC_MPS_SHIFT; }
  SUBCASE("weighted arbitration") { cc |= 1u << NVME_CC_AMS_SHIFT; }
  SUBCASE("other submission queue entries") { cc ^= 1u << NVME_CC_IOSQES_SHIFT; }
  SUBCASE("other completion queue entries") { cc ^= 1u << NVME_CC_IOCQES_SHIFT; }
  CHECK(host.enable(cc).ok());
  CHECK(host.csts() == kFatal);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.enable(0).ok());
  CHECK(host.csts() == 0);
  CHECK(host.enable().ok());
  CHECK(host.csts() == kReady);
}

TEST_CASE("host enables with every I/O command set, or with the NVM command set alone: ready") {
  World world;
  Host host(world);
  host.connect();
  for (const uint32_t css : {NVME_CC_CSS_CSI, NVME_CC_CSS_NVM}) {
    CHECK(host.enable(kEnable | css << NVME_CC_CSS_SHIFT).ok());
    CHECK(host.csts() == kReady);
    CHECK(host.enable(0).ok());
  }
}

TEST_CASE("a discovery controller has no I/O command set but the NVM command set, which it need not use") {
  World world;
  Host host(world);
  host.connect(nvme::kDiscoveryNqn);
  const uint64_t cap = host.admin.send(property_get(NVME_REG_CAP, 1)).result;
  CHECK((cap >> NVME_CAP_CSS_SHIFT & 0xff) == NVME_CAP_CSS_NVM);
  CHECK(host.enable(1u | uint32_t{NVME_CC_CSS_CSI} << NVME_CC_CSS_SHIFT).ok());
  CHECK(host.csts() == kFatal);
}

TEST_CASE("a discovery controller is enabled without entry sizes too") {
  World world;
  Host host(world);
  host.connect(nvme::kDiscoveryNqn);
  CHECK(host.enable(1).ok());
  CHECK(host.csts() == kReady);
}

TEST_CASE("host resets the controller: I/O queues are disconnected, the admin queue lives on") {
  World world;
  Host host(world);
  host.bring_up(2);
  CHECK(host.enable(0).ok());
  CHECK(host.csts() == 0);
  CHECK(host.io(1).disconnected());
  CHECK(host.io(2).disconnected());
  CHECK_FALSE(host.admin.disconnected());
  CHECK(host.io(1).drops(command(nvme_cmd_flush, 1)));
  CHECK(host.enable().ok());
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
}

TEST_CASE("after a reset the host sets up its queues again while the old connections are still closing") {
  World world;
  Host host(world);
  host.bring_up(2);
  host.enable(0);
  host.enable();
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010001).ok());
  Wire again(world, 1);
  const Bytes data = to_bytes(host.connect_data(World::kNqn, host.cntlid));
  CHECK(again.send(connect_command(1, kIoSqsize), data).ok());
  host.io(1).close();
  CHECK(again.send(command(nvme_cmd_flush, 1)).ok());
}

TEST_CASE("a reset brings features back to their defaults, but not the keep-alive timer") {
  World world;
  Host host(world);
  host.bring_up(0, World::kNqn, 5000);
  host.set_feature(NVME_FEAT_FID_ARBITRATION, 3);
  host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0);
  host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES);
  host.enable(0);
  host.enable();
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION).result == 0);
  CHECK(host.get_feature(NVME_FEAT_FID_NUM_QUEUES).result == 0x00030003);
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == 0);
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).result == 5000);
}

TEST_CASE("host shuts the controller down: complete when nothing runs, no command runs until it is reset and enabled") {
  World world;
  Host host(world);
  host.bring_up(1);
  uint32_t how = kShutdownNormal;
  SUBCASE("normally") {}
  SUBCASE("abruptly") { how = kShutdownAbrupt; }
  CHECK(host.enable(kEnable | how).ok());
  CHECK(host.csts() == (kReady | kShutdownComplete));
  CHECK(host.io(1).drops(command(nvme_cmd_flush, 1)));
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.enable(0).ok());
  CHECK(host.csts() == 0);
  CHECK(host.enable().ok());
  CHECK(host.csts() == kReady);
}

TEST_CASE("host shuts down a controller that it never enabled, then enables it") {
  World world;
  Host host(world);
  host.connect();
  CHECK(host.enable(kShutdownNormal).ok());
  CHECK(host.csts() == kShutdownComplete);
  CHECK(host.enable().ok());
  CHECK(host.csts() == kReady);
}

TEST_CASE("host disables and asks for a shutdown in one write: a reset") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.enable(kShutdownNormal).ok());
  CHECK(host.csts() == 0);
}

}  // namespace
}  // namespace nvmf::test
