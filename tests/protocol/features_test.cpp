// Get Features and Set Features: NVMe Base 2.0, sections 5.15 and 5.27.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint8_t kDefault = NVME_GET_FEATURES_SEL_DEFAULT;
constexpr uint8_t kSaved = NVME_GET_FEATURES_SEL_SAVED;
constexpr uint8_t kCapabilities = NVME_GET_FEATURES_SEL_SUPPORTED;
constexpr uint32_t kChangeable = 1 << 2;
constexpr uint32_t kNamespaceSpecific = 1 << 1;

TEST_CASE("host asks for queues: target grants what it has") {
  World world;  // four I/O queues
  Host host(world);
  host.bring_up();
  CHECK(host.get_feature(NVME_FEAT_FID_NUM_QUEUES).result == 0x00030003);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010001).result == 0x00010001);
  CHECK(host.get_feature(NVME_FEAT_FID_NUM_QUEUES).result == 0x00010001);
  CHECK(host.get_feature(NVME_FEAT_FID_NUM_QUEUES, kDefault).result == 0x00030003);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x003f003f).result == 0x00030003);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x003f0000).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x0000003f).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010002).result == 0x00010001);
}

TEST_CASE("host asks for 65,536 queues: Invalid Field") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x0001ffff).status == NVME_SC_INVALID_FIELD);
  CHECK(host.controller().errors().entry(0).parm_error_location == 44);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0xffff0001).status == NVME_SC_INVALID_FIELD);
  CHECK(host.controller().errors().entry(0).parm_error_location == 46);
}

TEST_CASE("host asks for queues when it has some: Command Sequence Error") {
  World world;
  Host host(world);
  host.bring_up(1);
  CHECK(host.set_feature(NVME_FEAT_FID_NUM_QUEUES, 0x00010001).status == NVME_SC_CMD_SEQ_ERROR);
}

TEST_CASE("host sets and reads back features that are only kept for it") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_ARBITRATION, 0x04030205).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION).result == 0x04030205);
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION, kDefault).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_WRITE_ATOMIC, 1).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_WRITE_ATOMIC).result == 1);
}

TEST_CASE("host sets a power state: only the first exists") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_POWER_MGMT, 0).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_POWER_MGMT, 1).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_POWER_MGMT).result == 0);
}

TEST_CASE("host sets temperature thresholds: over and under, of the composite temperature") {
  World world;
  Host host(world);
  host.bring_up();
  constexpr uint32_t kUnder = 1 << 20;
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH).result == 0x157);  // WCTEMP
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 350).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, kUnder | 270).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH).result == 350);
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH, 0, kUnder).result == 270);
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH, kDefault, kUnder).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 0x10000 | 350).status == NVME_SC_INVALID_FIELD);  // a sensor
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, 2 << 20).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH, 0, 2 << 20).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH, kCapabilities, 2 << 20).result == kChangeable);
}

TEST_CASE("host sets the threshold of every sensor at once; no value is every sensor's") {
  World world;
  Host host(world);
  host.bring_up();
  constexpr uint32_t kEvery = 0xf << 16;
  CHECK(host.set_feature(NVME_FEAT_FID_TEMP_THRESH, kEvery | 355).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH).result == 355);
  for (const uint8_t sel : {uint8_t{0}, kDefault, kSaved}) {
    CHECK(host.get_feature(NVME_FEAT_FID_TEMP_THRESH, sel, kEvery).status == NVME_SC_INVALID_FIELD);
    CHECK(host.controller().errors().entry(0).parm_error_location == 46);
  }
}

TEST_CASE("host sets error recovery: nothing to change") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_ERR_RECOVERY, 0, 1).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_ERR_RECOVERY, 5, 1).status == specific(NVME_SC_FEATURE_NOT_CHANGEABLE));
  CHECK(host.set_feature(NVME_FEAT_FID_ERR_RECOVERY, 1 << 16, 1).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_ERR_RECOVERY, kCapabilities).result == kNamespaceSpecific);
}

TEST_CASE("host sets the volatile write cache: on, and stays on, whatever namespaces there are") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.get_feature(NVME_FEAT_FID_VOLATILE_WC).result == 1);
  CHECK(host.set_feature(NVME_FEAT_FID_VOLATILE_WC, 1).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_VOLATILE_WC, 0).status == specific(NVME_SC_FEATURE_NOT_CHANGEABLE));

  Host other(world, World::kHostNqn, 2);
  other.bring_up(0, World::kOtherNqn);
  CHECK(other.get_feature(NVME_FEAT_FID_VOLATILE_WC).result == 1);
  CHECK(other.set_feature(NVME_FEAT_FID_VOLATILE_WC, 1).ok());
}

TEST_CASE("host configures async events: only those that Identify offers") {
  World world;
  Host host(world);
  host.bring_up();
  constexpr uint32_t kNamespaces = NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES;
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == kNamespaces);
  CHECK(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_ASYNC_EVENT).result == kNamespaces);
}

TEST_CASE("host sets the keep-alive timer: rounded up to the granularity") {
  World world;
  Host host(world);
  host.bring_up(0, World::kNqn, 5000);
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).result == 5000);
  CHECK(host.set_feature(NVME_FEAT_FID_KATO, 1001).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).result == 1100);
  CHECK(host.get_feature(NVME_FEAT_FID_KATO, kDefault).result == 0);
  CHECK(host.set_feature(NVME_FEAT_FID_KATO, 0xffffffff).ok());
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).result == 4294967200);
}

TEST_CASE("host reads its identifier: 128 bits, or Invalid Field; and may not set it") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer answer = host.get_feature(NVME_FEAT_FID_HOST_ID, 0, 1);
  REQUIRE(answer.ok());
  CHECK(std::to_integer<int>(answer.data[0]) == 0x42);
  for (const uint8_t sel : {kDefault, kSaved})
    CHECK(host.get_feature(NVME_FEAT_FID_HOST_ID, sel, 1).data == answer.data);
  for (const uint8_t sel : {uint8_t{0}, kDefault, kSaved})
    CHECK(host.get_feature(NVME_FEAT_FID_HOST_ID, sel, 0).status == NVME_SC_INVALID_FIELD);
  CHECK(host.set_feature(NVME_FEAT_FID_HOST_ID, 1).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.get_feature(NVME_FEAT_FID_HOST_ID, kCapabilities).result == 0);
}

TEST_CASE("host asks about interrupts, or unknown features: Invalid Field at FID") {
  World world;
  Host host(world);
  host.bring_up();
  for (const uint8_t fid : {0x00, 0x08, 0x09, 0x0c, 0x0e, 0x7f, 0xff}) {
    CHECK(host.get_feature(fid).status == NVME_SC_INVALID_FIELD);
    CHECK(host.set_feature(fid, 0).status == NVME_SC_INVALID_FIELD);
    CHECK(host.controller().errors().entry(0).parm_error_location == 40);
  }
}

TEST_CASE("host selects saved values and capabilities: nothing is saveable") {
  World world;
  Host host(world);
  host.bring_up();
  host.set_feature(NVME_FEAT_FID_ARBITRATION, 3);
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION, kSaved).result == 0);
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION, kCapabilities).result == kChangeable);
  CHECK(host.get_feature(NVME_FEAT_FID_ARBITRATION, 4).status == NVME_SC_INVALID_FIELD);
  const Answer answer = host.set_feature(NVME_FEAT_FID_ARBITRATION, 3, 0, true);
  CHECK(answer.status == specific(NVME_SC_FEATURE_NOT_SAVEABLE));
  CHECK(host.controller().errors().entry(0).parm_error_location == (43 | 7 << 8));
}

TEST_CASE("host sets a controller's feature for one namespace: Feature Not Namespace Specific") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(NVME_FEAT_FID_ARBITRATION, 3, 1).status == specific(NVME_SC_FEATURE_NOT_PER_NS));
  CHECK(host.set_feature(NVME_FEAT_FID_ARBITRATION, 3, 2).status == NVME_SC_INVALID_NS);
  CHECK(host.set_feature(NVME_FEAT_FID_ARBITRATION, 3, NVME_NSID_ALL).ok());
}

TEST_CASE("a discovery controller knows async events and the keep-alive timer only") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 31).ok());
  CHECK(host.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 8).status == NVME_SC_INVALID_FIELD);
  CHECK(host.get_feature(NVME_FEAT_FID_NUM_QUEUES).status == NVME_SC_INVALID_FIELD);
}

}  // namespace
}  // namespace nvmf::test
