// Identify: NVMe Base 2.0, section 5.17.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

std::string text(const char* field, size_t size) { return {field, size}; }

TEST_CASE("host sends Identify Controller: target answers what hosts insist on") {
  World world;
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(text(id.sn, sizeof(id.sn)) == "SN-0001             ");
  CHECK(text(id.mn, sizeof(id.mn)).starts_with("Example disks   "));
  CHECK(text(id.fr, sizeof(id.fr)) == "0.1.0   ");
  CHECK(std::string(id.subnqn) == World::kNqn);
  CHECK(id.cntlid == host.cntlid);
  CHECK(id.ver == 0x20000);
  CHECK(id.cntrltype == NVME_CTRL_CNTRLTYPE_IO);
  CHECK(id.cmic == (NVME_CTRL_CMIC_MULTI_CTRL | NVME_CTRL_CMIC_MULTI_PORT | NVME_CTRL_CMIC_MULTI_ANA_REPORTING));
  CHECK(id.mdts == 4);  // 64 KiB
  CHECK(id.oaes == (NVME_CTRL_OAES_NA | NVME_CTRL_OAES_ANA | 1u << 20 | 1u << 21));
  CHECK(id.ctratt == (NVME_CTRL_CTRATT_128_ID | NVME_CTRL_CTRATT_TBKAS));
  CHECK(id.kas == 1);
  CHECK(id.aerl == 3);
  CHECK(id.elpe == 63);
  CHECK(id.sqes == 0x66);
  CHECK(id.cqes == 0x44);
  CHECK(id.maxcmd == 128);
  CHECK(id.nn == 1024);
  CHECK(id.mnan == 1024);
  CHECK(id.fuses == NVME_CTRL_FUSES_COMPARE_AND_WRITE);
  CHECK(id.vwc == (NVME_CTRL_VWC_PRESENT | NVME_CTRL_VWC_FLUSH));
  CHECK((id.sgls & (1 << 2)) != 0);   // keyed
  CHECK((id.sgls & (1 << 20)) != 0);  // offset in the capsule
  CHECK((id.sgls & 3) == 1);
  CHECK(id.ioccsz == (64 + 4096) / 16);
  CHECK(id.iorcsz == 1);
  CHECK(id.icdoff == 0);
  CHECK(id.fcatt == 0);  // dynamic controllers
  CHECK(id.msdbd == 16);
  CHECK(id.ofcs == NVME_CTRL_OFCS_DISCONNECT);
  CHECK(id.wctemp == 0x157);  // what the specification recommends
  CHECK(id.cctemp > id.wctemp);
}

TEST_CASE("the least of largest transfers is told as it is: MDTS 0 would be no limit") {
  core::TargetOptions options = World::default_options();
  options.max_transfer_bytes = core::limits::kMinTransferBytes;
  World world(options);
  Host host(world);
  host.bring_up(1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().mdts == 2);
  CHECK(host.io(1).send(command(nvme_cmd_read, 1, 0, 0, 31), Bytes(16384)).ok());
  CHECK(host.io(1).send(command(nvme_cmd_read, 1, 0, 0, 32), Bytes(16896)).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("the least of largest transfers has room for the whole ANA log, which Linux reads at once") {
  core::TargetOptions options = World::default_options();
  options.max_transfer_bytes = core::limits::kMinTransferBytes;
  World world(options);
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  const uint32_t whole = 16 + id.nanagrpid * 32 + id.mnan * 4;
  CHECK(whole == 8208);
  CHECK(host.log_page(NVME_LOG_LID_ANA, whole).ok());
  options.max_transfer_bytes /= 2;
  CHECK_THROWS(core::Target(options));
}

TEST_CASE("ONCS and the effects log offer the same commands") {
  World world;
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(id.ocfs == 1);
  const auto effects = host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).as<nvme_cmd_effects_log>();
  struct Optional {
    int bit;
    int opcode;
  };
  for (const Optional& command : {Optional{NVME_CTRL_ONCS_COMPARE, nvme_cmd_compare},
                                  {NVME_CTRL_ONCS_WRITE_UNCORRECTABLE, nvme_cmd_write_uncor},
                                  {NVME_CTRL_ONCS_DSM, nvme_cmd_dsm},
                                  {NVME_CTRL_ONCS_WRITE_ZEROES, nvme_cmd_write_zeroes},
                                  {NVME_CTRL_ONCS_RESERVATIONS, nvme_cmd_resv_acquire},
                                  {NVME_CTRL_ONCS_VERIFY, nvme_cmd_verify},
                                  {NVME_CTRL_ONCS_COPY, nvme_cmd_copy}}) {
    CAPTURE(command.opcode);
    CHECK((id.oncs & command.bit) != 0);
    CHECK((effects.iocs[command.opcode] & NVME_CMD_EFFECTS_CSUPP) != 0);
  }
}

// What hosts read once, when they enable the controller.
struct Once {
  Bytes controller, nvm_controller, effects, features;
  explicit Once(Host& host)
      : controller(host.identify(NVME_IDENTIFY_CNS_CTRL).data),
        nvm_controller(host.identify(NVME_IDENTIFY_CNS_CSI_CTRL).data),
        effects(host.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).data),
        features(host.log_page(NVME_LOG_LID_FID_SUPPORTED_EFFECTS, 1024).data) {}
  friend bool operator==(const Once&, const Once&) = default;
};

TEST_CASE("namespaces come, change and go, and ports as well: what hosts have read once stays as it was") {
  World world;
  Host host(world, World::kHostNqn, 2);
  host.bring_up(0, World::kOtherNqn);
  const Once of_empty(host);
  core::Subsystem& subsystem = world.other_subsystem;
  subsystem.add_namespace({.nsid = 1, .block_count = 8, .volatile_write_cache = true});
  CHECK(Once(host) == of_empty);
  subsystem.add_namespace({.nsid = 2, .lba_shift = 12, .block_count = 8});
  CHECK(Once(host) == of_empty);
  subsystem.change_namespace({.nsid = 1, .block_count = 16, .ana_group = 2});
  CHECK(Once(host) == of_empty);
  subsystem.remove_namespace(1);
  CHECK(Once(host) == of_empty);
  subsystem.set_ports({1, 2});
  CHECK(Once(host) == of_empty);
}

TEST_CASE("capsules without room for the largest block: no fused commands, whatever namespaces there are") {
  core::TargetOptions options = World::default_options();
  options.in_capsule_bytes = 2048;
  World world(options);
  for (const char* nqn : {World::kNqn, World::kOtherNqn}) {
    Host host(world, World::kHostNqn, 2);
    host.bring_up(0, nqn);
    CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().fuses == 0);
  }
}

TEST_CASE("every controller has a write cache to flush; a namespace without one says so") {
  World world;
  Host host(world);
  host.bring_up();
  const auto nsfeat = [&](uint32_t nsid) {
    return host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, nsid).as<nvme_id_independent_id_ns>().nsfeat;
  };
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().vwc == 7);
  CHECK(nsfeat(1) == 0);
  CHECK(nsfeat(3) == 1 << 5);
  core::NamespaceOptions cached = *world.subsystem.find_namespace(3);
  cached.volatile_write_cache = true;
  world.subsystem.change_namespace(cached);
  CHECK(nsfeat(3) == 0);
  world.subsystem.remove_namespace(1);
  world.subsystem.remove_namespace(3);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().vwc == 7);
}

TEST_CASE("host identifies a discovery controller") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  const auto id = host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(id.cntrltype == NVME_CTRL_CNTRLTYPE_DISCOVERY);
  CHECK(id.cntlid == host.cntlid);
  CHECK(std::string(id.subnqn) == nvme::kDiscoveryNqn);
  CHECK(id.oaes == static_cast<uint32_t>(NVME_CTRL_OAES_DL));
  CHECK((id.lpa & NVME_CTRL_LPA_EXTENDED) != 0);
  CHECK((id.sgls & (1 << 2)) != 0);
  CHECK(id.kas == 1);
  CHECK(id.nn == 0);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host identifies namespaces") {
  World world;
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>();
  CHECK(id.nsze == World::kBlocks);
  CHECK(id.ncap == World::kBlocks);
  CHECK(id.nuse == World::kBlocks);
  CHECK(id.nlbaf == 0);
  CHECK(id.flbas == 0);
  CHECK(id.lbaf[0].ds == 9);
  CHECK(id.lbaf[0].ms == 0);
  CHECK(id.nmic == 1);
  CHECK(id.noiob == 256);
  CHECK(id.nguid[0] == 0x21);
  CHECK(id.eui64[1] == 0x32);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 3).as<nvme_id_ns>().lbaf[0].ds == 12);
}

TEST_CASE("host identifies a namespace: NSFEAT, and what it stands for, are the device's hints") {
  World world;
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  Host host(world);
  host.bring_up();
  const auto identify = [&] {
    world.subsystem.change_namespace(options);
    return host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>();
  };
  nvme_id_ns id = identify();
  CHECK(id.nsfeat == 0);
  CHECK(id.dlfeat == 0);

  // A disk of 512-byte blocks on physical ones of 4096.
  options.hints.atomic_write_blocks = 8;
  options.hints.atomic_write_power_fail_blocks = 4;
  options.hints.atomic_boundary_blocks = 16;
  options.hints.atomic_boundary_power_fail_blocks = 8;
  options.hints.first_atomic_boundary_lba = 7;
  options.hints.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  id = identify();
  CHECK(id.nsfeat == NVME_NS_FEAT_NATOMIC);
  CHECK(id.nawun == 7);
  CHECK(id.nawupf == 3);
  CHECK(id.nabsn == 15);
  CHECK(id.nabspf == 7);
  CHECK(id.nabo == 7);
  CHECK(id.nacwu == 0);
  CHECK(id.dlfeat == 9);

  options.hints.write_granularity_blocks = 2;
  options.hints.write_alignment_blocks = 1;
  options.hints.deallocate_granularity_blocks = 128;
  options.hints.deallocate_alignment_blocks = 64;
  options.hints.optimal_write_blocks = 1 << 20;  // more than can be told
  id = identify();
  CHECK(id.nsfeat == (NVME_NS_FEAT_NATOMIC | NVME_NS_FEAT_IO_OPT));
  CHECK(id.npwg == 1);
  CHECK(id.npwa == 0);
  CHECK(id.npdg == 127);
  CHECK(id.npda == 63);
  CHECK(id.nows == 0xffff);

  // A size that the device does not know is a page in whole granules: never one block, which hosts would show.
  options.hints.optimal_write_blocks = 0;
  for (const auto& [granule, nows_z] : {std::pair{1u, 7u}, {2u, 7u}, {3u, 8u}, {8u, 7u}, {128u, 127u}}) {
    options.hints.write_granularity_blocks = granule;
    id = identify();
    CHECK(id.nows == nows_z);
    CHECK((id.nows + 1) % granule == 0);
  }

  options.hints = {};
  options.hints.atomic_write_blocks = 8;
  options.hints.first_atomic_boundary_lba = 3;
  id = identify();
  CHECK_MESSAGE(id.nabo == 0, "without boundaries there is no first one");
  CHECK(id.npwg == 0);
}

TEST_CASE("host identifies a namespace whose boundary is more than NOIOB can tell: none") {
  World world;
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  Host host(world);
  host.bring_up();
  for (const auto& [blocks, noiob] : {std::pair{65535u, 65535}, {65536u, 0}, {1u << 20, 0}}) {
    options.optimal_io_boundary_blocks = blocks;
    world.subsystem.change_namespace(options);
    CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().noiob == noiob);
  }
}

TEST_CASE("host identifies a namespace that is not there: zeroes; one that cannot be: Invalid Namespace or Format") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer inactive = host.identify(NVME_IDENTIFY_CNS_NS, 2);
  CHECK(inactive.ok());
  CHECK(inactive.data == Bytes(4096));
  for (const uint32_t nsid : {0u, 1025u, 0xfffffffeu, 0xffffffffu}) {
    const Answer answer = host.identify(NVME_IDENTIFY_CNS_NS, nsid);
    CHECK(answer.status == NVME_SC_INVALID_NS);
    CHECK(answer.do_not_retry);
  }
}

TEST_CASE("host lists active namespaces: NSIDs above the command's, ascending") {
  World world;
  Host host(world);
  host.bring_up();
  const auto from = [&](uint32_t nsid) {
    return host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, nsid).as<nvme_ns_list>();
  };
  CHECK(from(0).ns[0] == 1);
  CHECK(from(0).ns[1] == 3);
  CHECK(from(0).ns[2] == 0);
  CHECK(from(1).ns[0] == 3);
  CHECK(from(3).ns[0] == 0);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0xfffffffd).ok());
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0xfffffffe).status == NVME_SC_INVALID_NS);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0xffffffff).status == NVME_SC_INVALID_NS);
}

TEST_CASE("host reads namespace descriptors: EUI-64, NGUID, UUID and command set, as far as given") {
  World world;
  Host host(world);
  host.bring_up();
  const Answer answer = host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 1);
  REQUIRE(answer.ok());
  const auto byte_at = [&](size_t offset) { return std::to_integer<int>(answer.data[offset]); };
  CHECK(byte_at(0) == NVME_NIDT_EUI64);
  CHECK(byte_at(1) == 8);
  CHECK(byte_at(4) == 0x31);
  CHECK(byte_at(12) == NVME_NIDT_NGUID);
  CHECK(byte_at(13) == 16);
  CHECK(byte_at(16) == 0x21);
  CHECK(byte_at(32) == NVME_NIDT_UUID);
  CHECK(byte_at(33) == 16);
  CHECK(byte_at(36) == 1);
  CHECK(byte_at(51) == 16);
  CHECK(byte_at(52) == NVME_NIDT_CSI);
  CHECK(byte_at(53) == 1);
  CHECK(byte_at(56) == NVME_CSI_NVM);
  CHECK(byte_at(57) == 0);  // the end

  const Answer bare = host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 3);
  CHECK(std::to_integer<int>(bare.data[0]) == NVME_NIDT_CSI);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 2).status == NVME_SC_INVALID_NS);
}

TEST_CASE("host reads the command set's own structures: VSL and WZSL, and nothing else special") {
  World world;
  Host host(world);
  host.bring_up();
  Bytes limits(4096);
  limits[0] = std::byte{4};   // VSL: 64 KiB
  limits[1] = std::byte{13};  // WZSL: 32 MiB
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_CTRL).data == limits);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_NS, 1).data == Bytes(4096));
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[1] == 3);
  constexpr uint32_t kKeyValue = uint32_t{NVME_CSI_KV} << 24;
  for (const uint8_t cns : {NVME_IDENTIFY_CNS_CSI_CTRL, NVME_IDENTIFY_CNS_CSI_NS, NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST,
                            NVME_IDENTIFY_CNS_CSI_ALLOCATED_NS_LIST, NVME_IDENTIFY_CNS_CSI_ID_NS_DATA_STRUCTURE}) {
    CHECK(host.identify(cns, 1, kKeyValue).status == NVME_SC_INVALID_FIELD);
    CHECK(host.controller().errors().entry(0).parm_error_location == 47);
  }
}

TEST_CASE("host reads the command set independent structure: the namespace is ready and shared") {
  World world;
  Host host(world);
  host.bring_up();
  const auto id = host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 1).as<nvme_id_independent_id_ns>();
  CHECK(id.nstat == 1);
  CHECK(id.nmic == 1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 2).data == Bytes(4096));
  CHECK((id.nsfeat & 1 << 4) == 0);
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  options.hints.rotational = true;
  world.subsystem.change_namespace(options);
  const auto disk = host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 1).as<nvme_id_independent_id_ns>();
  CHECK_MESSAGE((disk.nsfeat & 1 << 4) != 0, "RMEDIA");
}

TEST_CASE("host lists controllers of the subsystem and of a namespace") {
  World world;
  Host first(world), second(world);
  first.bring_up();
  second.bring_up();
  const auto all = first.identify(NVME_IDENTIFY_CNS_CTRL_LIST).as<nvme_ctrl_list>();
  CHECK(all.num == 2);
  CHECK(all.identifier[0] == 1);
  CHECK(all.identifier[1] == 2);
  const auto from = first.identify(NVME_IDENTIFY_CNS_NS_CTRL_LIST, 1, 0, 2).as<nvme_ctrl_list>();
  CHECK(from.num == 1);
  CHECK(from.identifier[0] == 2);
  CHECK(first.identify(NVME_IDENTIFY_CNS_NS_CTRL_LIST, 2).status == NVME_SC_INVALID_NS);
}

TEST_CASE("host reads the command set combinations: NVM and Zoned Namespace together, and nothing else") {
  World world;
  Host host(world);
  host.bring_up();
  Bytes combinations(4096);
  combinations[0] = std::byte{1 << NVME_CSI_NVM | 1 << NVME_CSI_ZNS};
  CHECK(host.identify(NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE, 0, 0, 0xffff).data == combinations);
  CHECK(host.identify(NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE, 0, 0, 99).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("host asks for an unknown structure: Invalid Field at CNS") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.identify(0x7f).status == NVME_SC_INVALID_FIELD);
  CHECK(host.controller().errors().entry(0).parm_error_location == 40);
}

TEST_CASE("host gives less room than a structure takes: Data SGL Length Invalid") {
  World world;
  Host host(world);
  host.bring_up();
  const Sqe sqe = command(nvme_admin_identify, 0, NVME_IDENTIFY_CNS_CTRL);
  CHECK(host.admin.send(sqe, Bytes(4095)).status == NVME_SC_SGL_INVALID_DATA);
  CHECK(host.admin.send(sqe, Bytes(8192)).ok());
}

}  // namespace
}  // namespace nvmf::test
