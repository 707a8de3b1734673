// What hosts are told of zoned namespaces, and which hosts: NVMe Base 2.0, sections 3.1.3.5 (CC.CSS), 5.16.1.6, 5.17
// and 5.27.1.21; Zoned Namespace Command Set 1.1, section 4.1.5.
#include <doctest/doctest.h>

#include "tests/protocol/zoned_host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kCsi = uint32_t{NVME_CSI_ZNS} << 24;

std::vector<uint32_t> nsids(const Answer& answer) {
  const auto list = answer.as<nvme_ns_list>();
  return {list.ns, std::ranges::find(list.ns, 0u)};
}

uint8_t last_descriptor_csi(const Bytes& list) {
  size_t at = 0;
  while (std::to_integer<int>(list[at]) != NVME_NIDT_CSI) at += 4 + std::to_integer<size_t>(list[at + 1]);
  return std::to_integer<uint8_t>(list[at + 4]);
}

TEST_CASE("host reads the command set of each namespace") {
  ZonedHost z;
  CHECK(last_descriptor_csi(z.host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 1).data) == NVME_CSI_ZNS);
  CHECK(last_descriptor_csi(z.host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 3).data) == NVME_CSI_NVM);
}

TEST_CASE("host lists namespaces: all, or those of one command set") {
  ZonedHost z;
  using Nsids = std::vector<uint32_t>;
  for (const uint8_t cns : {NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST})
    CHECK(nsids(z.host.identify(cns)) == Nsids{1, 3});
  for (const uint8_t cns : {NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST, NVME_IDENTIFY_CNS_CSI_ALLOCATED_NS_LIST}) {
    CHECK(nsids(z.host.identify(cns, 0, kCsi)) == Nsids{1});
    CHECK(nsids(z.host.identify(cns, 1, kCsi)).empty());
    CHECK(nsids(z.host.identify(cns)) == Nsids{3});
    CHECK(z.host.identify(cns, NVME_NSID_ALL, kCsi).status == NVME_SC_INVALID_NS);
  }
}

TEST_CASE("host identifies a zoned namespace: what its SSD says, field by field") {
  ZonedHost z;
  for (const uint8_t cns : {NVME_IDENTIFY_CNS_CSI_NS, NVME_IDENTIFY_CNS_CSI_ID_NS_DATA_STRUCTURE}) {
    const auto id = z.host.identify(cns, 1, kCsi).as<nvme_zns_id_ns>();
    CHECK(id.zoc == 1);
    CHECK(id.ozcs == 1);
    CHECK(id.mar == 13);
    CHECK(id.mor == 6);
    CHECK(std::array<uint32_t, 4>{id.rrl, id.rrl1, id.rrl2, id.rrl3} == std::array<uint32_t, 4>{11, 12, 13, 14});
    CHECK(std::array<uint32_t, 4>{id.frl, id.frl1, id.frl2, id.frl3} == std::array<uint32_t, 4>{21, 22, 23, 24});
    CHECK(id.numzrwa == 0);
    CHECK(id.lbafe[0].zsze == kZoneBlocks);
    CHECK(id.lbafe[0].zdes == 2);
    CHECK(id.lbafe[1].zsze == 0);
    CHECK(z.host.identify(cns, 2, kCsi).data == Bytes(4096));  // inactive
    CHECK(z.host.identify(cns, 1).data == Bytes(4096));        // of the NVM command set
    CHECK(z.host.identify(cns, 0, kCsi).status == NVME_SC_INVALID_NS);
  }
  const auto common = z.host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>();
  CHECK(common.nsze == World::kBlocks);
  CHECK(common.lbaf[0].ds == 9);
  CHECK(z.host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 1).as<nvme_id_independent_id_ns>().nstat == 1);
}

TEST_CASE("an SSD without limits of active and open zones, extensions and reads across zones") {
  ZonedHost z;
  core::NamespaceOptions options = *z.world.subsystem.find_namespace(1);
  options.zones = {.zone_blocks = kZoneBlocks};
  z.world.subsystem.change_namespace(options);
  const auto id = z.host.identify(NVME_IDENTIFY_CNS_CSI_NS, 1, kCsi).as<nvme_zns_id_ns>();
  CHECK(id.mar == UINT32_MAX);
  CHECK(id.mor == UINT32_MAX);
  CHECK(id.ozcs == 0);
  CHECK(id.lbafe[0].zdes == 0);
}

TEST_CASE("host asks for the zones of a namespace that has none: Invalid I/O Command Set, at CSI") {
  ZonedHost z;
  for (const uint8_t cns : {NVME_IDENTIFY_CNS_CSI_NS, NVME_IDENTIFY_CNS_CSI_ID_NS_DATA_STRUCTURE}) {
    const Answer answer = z.host.identify(cns, 3, kCsi);
    CHECK(answer.status == specific(NVME_SC_INVALID_IOCS));
    CHECK(answer.do_not_retry);
    CHECK(z.location() == 47);
  }
}

TEST_CASE("host reads ZASL, which is MDTS here, and nothing else: the same with and without zoned namespaces") {
  Bytes expected(4096);
  expected[0] = std::byte{4};  // 64 KiB
  ZonedHost z;
  CHECK(z.host.identify(NVME_IDENTIFY_CNS_CSI_CTRL, 0, kCsi).data == expected);
  z.world.subsystem.remove_namespace(1);
  CHECK(z.host.identify(NVME_IDENTIFY_CNS_CSI_CTRL, 0, kCsi).data == expected);
}

TEST_CASE("host reads the commands of each command set: those of zones belong to one") {
  ZonedHost z;
  const auto effects_of = [&](uint8_t csi) {
    Sqe sqe = get_log_page(NVME_LOG_LID_CMD_EFFECTS, 4096);
    sqe.cdw14 = uint32_t{csi} << 24;
    return z.host.admin.send(sqe, Bytes(4096)).as<nvme_cmd_effects_log>();
  };
  const auto nvm = effects_of(NVME_CSI_NVM);
  const auto zoned = effects_of(NVME_CSI_ZNS);
  const std::array<uint8_t, 3> of_zones = {nvme_zns_cmd_mgmt_send, nvme_zns_cmd_mgmt_recv, nvme_zns_cmd_append};
  for (int opcode = 0; opcode < 256; ++opcode) {
    CAPTURE(opcode);
    CHECK(zoned.acs[opcode] == nvm.acs[opcode]);
    if (std::ranges::find(of_zones, opcode) == of_zones.end())
      CHECK(zoned.iocs[opcode] == nvm.iocs[opcode]);
    else
      CHECK(nvm.iocs[opcode] == 0);
  }
  CHECK(zoned.iocs[nvme_zns_cmd_append] == (NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC));
  CHECK(zoned.iocs[nvme_zns_cmd_mgmt_send] == (NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC));
  CHECK(zoned.iocs[nvme_zns_cmd_mgmt_recv] == NVME_CMD_EFFECTS_CSUPP);
}

TEST_CASE("host selects the command set profile: there is one") {
  ZonedHost z;
  CHECK(z.host.get_feature(NVME_FEAT_FID_IOCS_PROFILE).result == 0);
  CHECK(z.host.set_feature(NVME_FEAT_FID_IOCS_PROFILE, 0).ok());
  for (const uint32_t index : {1u, 0x100u, 0x1ffu}) {
    const Answer answer = z.host.set_feature(NVME_FEAT_FID_IOCS_PROFILE, index);
    CHECK(answer.status == specific(NVME_SC_IOCS_COMBINATION_REJECTED));
    CHECK(z.location() == 44);
  }
}

TEST_CASE("nothing raises events of changed zones: hosts are offered neither those nor their log page") {
  ZonedHost z;
  CHECK((z.host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().oaes & 1u << 27) == 0);
  CHECK(z.host.log_page(NVME_LOG_LID_ZNS_CHANGED_ZONES, 4096).status == specific(NVME_SC_INVALID_LOG_PAGE));
}

TEST_CASE("a host of the NVM command set alone: zoned namespaces are not there for it, the others are") {
  ZonedWorld z;
  Host host(z.world);
  host.bring_up(1);
  CHECK(nsids(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST)) == std::vector<uint32_t>{3});
  CHECK(nsids(host.identify(NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST, 0, kCsi)).empty());
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).data == Bytes(4096));
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 1).status == NVME_SC_INVALID_NS);
  for (const uint8_t opcode : {nvme_cmd_read, nvme_cmd_write, nvme_zns_cmd_append, nvme_zns_cmd_mgmt_recv})
    CHECK(host.io(1).send(command(opcode, 1), Bytes(4096)).status == NVME_SC_INVALID_NS);
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).ok());
  CHECK(host.io(1).send(command(nvme_cmd_flush, NVME_NSID_ALL)).ok());
  CHECK(z.disk.seen.empty());
}

TEST_CASE("a host resets its controller and uses every command set from then on, or no more: zoned namespaces follow") {
  ZonedWorld z;
  Host host(z.world);
  REQUIRE(host.connect().ok());
  for (const uint32_t css : {uint32_t{0}, kAllCommandSets, uint32_t{0}}) {
    REQUIRE(host.enable(kEnable | css).ok());
    const bool seen = css != 0;
    CHECK(nsids(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST)).size() == (seen ? 2 : 1));
    REQUIRE(host.enable(0).ok());
  }
}

TEST_CASE("a zoned namespace comes, changes and goes: only hosts that use its command set hear of it") {
  ZonedWorld z;
  Host aware(z.world);
  REQUIRE(aware.connect().ok());
  REQUIRE(aware.enable(kEnable | kAllCommandSets).ok());
  Host unaware(z.world);
  unaware.hostid = {7};
  unaware.bring_up();
  const auto changed = [](Host& host) { return nsids(host.log_page(NVME_LOG_LID_CHANGED_NS, 4096)); };
  CHECK(changed(aware).empty());
  z.world.subsystem.add_namespace({.nsid = 7, .block_count = 200, .zones = ZonedWorld::zones()});
  CHECK(changed(aware) == std::vector<uint32_t>{7});
  CHECK(changed(unaware).empty());
  z.world.subsystem.change_namespace({.nsid = 7, .block_count = 300, .zones = ZonedWorld::zones()});
  CHECK(changed(aware) == std::vector<uint32_t>{7});
  CHECK(changed(unaware).empty());
  z.world.subsystem.remove_namespace(7);
  CHECK(changed(aware) == std::vector<uint32_t>{7});
  CHECK(changed(unaware).empty());
}

}  // namespace
}  // namespace nvmf::test
