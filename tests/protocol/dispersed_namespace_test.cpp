// One storage as a namespace of two subsystems, under another NSID in each: NVMe Base 2.0, Dispersed Namespaces.
#include <doctest/doctest.h>

#include "tests/protocol/reservation_hosts.h"

namespace nvmf::test {
namespace {

using core::WriteProtection;

constexpr int kConflict = NVME_SC_RESERVATION_CONFLICT;

// Alice connects through one subsystem, Bob through the other.
struct Dispersed {
  World world;
  Sharer alice{world, 1};
  Sharer bob;

  Dispersed() : bob(dispersed(world), 2, World::kOtherNqn, World::kDispersedNsid, 2) {}
  static World& dispersed(World& world) {
    world.disperse();
    return world;
  }
  void both_register() {
    REQUIRE(alice.register_key(kKeyA).ok());
    REQUIRE(bob.register_key(kKeyB).ok());
  }
};

TEST_CASE("host reserves in one subsystem: hosts of the other are kept out, too, until it is released") {
  Dispersed d;
  REQUIRE(d.alice.register_key(kKeyA).ok());
  REQUIRE(d.alice.acquire(kKeyA, kExclusiveAccess).ok());
  CHECK(d.bob.read() == kConflict);
  CHECK(d.bob.write() == kConflict);
  CHECK(d.alice.write() == 0);
  CHECK(d.bob.acquire(kKeyB, kWriteExclusive).status == kConflict);
  REQUIRE(d.alice.release(kKeyA, kExclusiveAccess).ok());
  CHECK(d.bob.write() == 0);
}

TEST_CASE("a host that comes through the other subsystem later is kept out from its first command on") {
  Dispersed d;
  REQUIRE(d.alice.register_key(kKeyA).ok());
  REQUIRE(d.alice.acquire(kKeyA, kWriteExclusive).ok());
  Sharer carol(d.world, 3, World::kOtherNqn, World::kDispersedNsid, 2);
  CHECK(carol.write() == kConflict);
  CHECK(carol.read() == 0);
}

TEST_CASE("one host in both subsystems has one registration, and holds in both") {
  Dispersed d;
  Sharer alice_there(d.world, 1, World::kOtherNqn, World::kDispersedNsid, 2);
  REQUIRE(d.alice.register_key(kKeyA).ok());
  REQUIRE(alice_there.acquire(kKeyA, kWriteExclusive).ok());
  CHECK(d.alice.write() == 0);
  CHECK(alice_there.write() == 0);
  CHECK(d.bob.write() == kConflict);
}

TEST_CASE("the report has the registrants of both, and the CNTLIDs of the subsystem that was asked") {
  Dispersed d;
  d.both_register();
  for (Sharer* asked : {&d.alice, &d.bob}) {
    const Answer report = asked->report();
    REQUIRE(registered_controllers(report) == 2);
    const auto of_alice = registered_controller(report, 0);
    const auto of_bob = registered_controller(report, 1);
    CHECK(of_alice.rkey == kKeyA);
    CHECK(of_bob.rkey == kKeyB);
    CHECK(of_alice.cntlid == (asked == &d.alice ? d.alice.cntlid : nvme::kCntlidOtherSubsystem));
    CHECK(of_bob.cntlid == (asked == &d.bob ? d.bob.cntlid : nvme::kCntlidOtherSubsystem));
  }
}

TEST_CASE("a host of the other subsystem preempts: the preempted host is told, by its own NSID") {
  Dispersed d;
  d.both_register();
  REQUIRE(d.bob.acquire(kKeyB, kWriteExclusive).ok());
  REQUIRE(d.alice.preempt(kKeyA, kKeyB, kWriteExclusive).ok());
  const nvme_resv_notification_log told = d.bob.notification();
  CHECK(told.rnlpt == NVME_RESV_NOTIFY_RNLPT_REGISTRATION_PREEMPTED);
  CHECK(told.nsid == World::kDispersedNsid);
  CHECK(d.bob.write() == kConflict);
}

TEST_CASE("Preempt and Abort waits for what the preempted host has through the other subsystem") {
  Dispersed d;
  d.both_register();
  REQUIRE(d.bob.acquire(kKeyB, kWriteExclusive).ok());
  d.world.disk_1.hold = true;
  const size_t write = d.bob.io(1).post(command(nvme_cmd_write, World::kDispersedNsid), Bytes(512));
  const uint32_t cdw10 = uint32_t{kWriteExclusive} << 8 | NVME_RESERVATION_RACQA_PREEMPT_AND_ABORT;
  const size_t preempt =
      d.alice.io(1).post(command(nvme_cmd_resv_acquire, 1, cdw10), to_bytes(std::pair{kKeyA, kKeyB}));
  CHECK_FALSE(d.alice.io(1).answered(preempt));
  d.world.disk_1.complete_all();
  CHECK(d.bob.io(1).take(write).ok());
  CHECK(d.alice.io(1).take(preempt).ok());
}

TEST_CASE("the namespace goes from one subsystem: what was reserved there holds in the other, and when it is back") {
  Dispersed d;
  REQUIRE(d.alice.register_key(kKeyA).ok());
  REQUIRE(d.alice.acquire(kKeyA, kWriteExclusive).ok());
  const core::NamespaceOptions ns = *d.world.subsystem.find_namespace(1);
  d.world.subsystem.remove_namespace(1);
  CHECK(d.bob.write() == kConflict);
  CHECK(registered_controller(d.bob.report(), 0).cntlid == nvme::kCntlidDynamic);
  d.world.subsystem.add_namespace(ns);
  CHECK(d.alice.write() == 0);
  SUBCASE("it goes from both: what was not saved is forgotten") {
    const core::NamespaceOptions there = *d.world.other_subsystem.find_namespace(World::kDispersedNsid);
    d.world.subsystem.remove_namespace(1);
    d.world.other_subsystem.remove_namespace(World::kDispersedNsid);
    d.world.other_subsystem.add_namespace(there);
    CHECK(d.bob.write() == 0);
  }
}

TEST_CASE("what was saved of a place that comes later counts where nothing else is known, and for all") {
  World world;
  Memory memory;
  memory.saved[{World::kOtherNqn, World::kDispersedNsid}] = {.registrants = {{core::HostId{9}, kKeyA}},
                                                             .rtype = kWriteExclusive,
                                                             .holder = core::HostId{9},
                                                             .generation = 7,
                                                             .ptpl = true};
  world.target.reservation_store = &memory;
  Sharer alice(world, 1);
  SUBCASE("nothing is known") {
    world.disperse();
    CHECK(alice.write() == kConflict);
  }
  SUBCASE("another state is") {
    REQUIRE(alice.register_key(kKeyA).ok());
    world.disperse();
    CHECK(alice.write() == 0);
  }
}

// In memory, by storage.
class Store : public core::WriteProtectionStore {
 public:
  WriteProtection load(const std::string&, const core::NamespaceOptions& ns) override { return saved[ns.storage]; }
  void save(const std::string&, const core::NamespaceOptions& ns, WriteProtection state,
            std::function<void(bool)> done) override {
    saved[ns.storage] = state;
    done(true);
  }
  std::map<std::string, WriteProtection> saved;
};

TEST_CASE("host protects the namespace in one subsystem: nobody writes in the other, whose hosts are told") {
  Dispersed d;
  Store store;
  d.world.target.write_protection_store = &store;
  d.bob.set_feature(NVME_FEAT_FID_ASYNC_EVENT, NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES);
  const size_t event = d.bob.await_event();
  REQUIRE(d.alice.set_feature(NVME_FEAT_FID_WRITE_PROTECT, NVME_FEAT_NS_WRITE_PROTECT, 1).ok());
  CHECK(d.bob.write() == NVME_SC_NS_WRITE_PROTECTED);
  CHECK(d.bob.read() == 0);
  CHECK(d.bob.admin.answered(event));
  CHECK(d.bob.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<uint32_t>() == World::kDispersedNsid);
  CHECK(d.bob.identify(NVME_IDENTIFY_CNS_NS, World::kDispersedNsid).as<nvme_id_ns>().nsattr == 1);

  REQUIRE(d.bob.set_feature(NVME_FEAT_FID_WRITE_PROTECT, NVME_FEAT_NS_NO_WRITE_PROTECT, World::kDispersedNsid).ok());
  CHECK(d.alice.write() == 0);
}

TEST_CASE("protected until the power cycle: that has come when the namespace has been taken out of both") {
  Dispersed d;
  Store store;
  d.world.target.write_protection_store = &store;
  REQUIRE(d.alice.set_feature(NVME_FEAT_FID_WRITE_PROTECT, NVME_FEAT_NS_WRITE_PROTECT_PWR_CYCLE, 1).ok());
  const core::NamespaceOptions here = *d.world.subsystem.find_namespace(1);
  const core::NamespaceOptions there = *d.world.other_subsystem.find_namespace(World::kDispersedNsid);
  d.world.subsystem.remove_namespace(1);
  d.world.subsystem.add_namespace(here);
  CHECK(d.alice.write() == NVME_SC_NS_WRITE_PROTECTED);
  d.world.subsystem.remove_namespace(1);
  d.world.other_subsystem.remove_namespace(World::kDispersedNsid);
  d.world.subsystem.add_namespace(here);
  d.world.other_subsystem.add_namespace(there);
  CHECK(d.alice.write() == 0);
  CHECK(d.bob.write() == 0);
}

TEST_CASE("what the operator protects in one subsystem only is written to through the other") {
  Dispersed d;
  core::NamespaceOptions here = *d.world.subsystem.find_namespace(1);
  here.write_protected = true;
  d.world.subsystem.change_namespace(here);
  CHECK(d.alice.write() == NVME_SC_NS_WRITE_PROTECTED);
  CHECK(d.bob.write() == 0);
}

Sqe half(uint8_t opcode, uint8_t fuse, uint32_t nsid) {
  Sqe sqe = command(opcode, nsid);
  sqe.flags = static_cast<uint8_t>(sqe.flags | fuse);
  return sqe;
}

TEST_CASE("a fused pair runs: hosts of the other subsystem change nothing meanwhile, and Identify has it in both") {
  Dispersed d;
  for (Sharer* host : {&d.alice, &d.bob})
    CHECK(host->identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().fuses == NVME_CTRL_FUSES_COMPARE_AND_WRITE);
  d.world.disk_1.blocks = Bytes(World::kBlocks * 512);
  d.world.disk_1.hold = true;
  const Bytes of_pair(512, std::byte{1});
  const Bytes of_bob(512, std::byte{2});
  const size_t compare = d.alice.io(1).post(half(nvme_cmd_compare, 1, 1), Bytes(512));
  const size_t swap = d.alice.io(1).post(half(nvme_cmd_write, 2, 1), of_pair);
  const size_t write = d.bob.io(1).post(command(nvme_cmd_write, World::kDispersedNsid), of_bob);
  CHECK(d.world.disk_1.seen.size() == 1);  // the Compare's read
  while (!d.alice.io(1).answered(swap)) d.world.disk_1.complete_all();
  CHECK(d.alice.io(1).take(compare).ok());
  CHECK(d.alice.io(1).take(swap).ok());
  CHECK_FALSE(d.bob.io(1).answered(write));
  d.world.disk_1.complete_all();
  CHECK(d.bob.io(1).take(write).ok());
  CHECK(Bytes(d.world.disk_1.blocks.begin(), d.world.disk_1.blocks.begin() + 512) == of_bob);
}

TEST_CASE("pairs of both subsystems run one after the other") {
  Dispersed d;
  d.world.disk_1.blocks = Bytes(World::kBlocks * 512);
  d.world.disk_1.hold = true;
  const Bytes of_alice(512, std::byte{1});
  const size_t compare = d.alice.io(1).post(half(nvme_cmd_compare, 1, 1), Bytes(512));
  const size_t swap = d.alice.io(1).post(half(nvme_cmd_write, 2, 1), of_alice);
  const size_t late_compare = d.bob.io(1).post(half(nvme_cmd_compare, 1, World::kDispersedNsid), Bytes(512));
  const size_t late_swap = d.bob.io(1).post(half(nvme_cmd_write, 2, World::kDispersedNsid), Bytes(512));
  while (!d.bob.io(1).answered(late_swap)) d.world.disk_1.complete_all();
  CHECK(d.alice.io(1).take(compare).ok());
  CHECK(d.alice.io(1).take(swap).ok());
  CHECK(d.bob.io(1).take(late_compare).status == (NVME_SCT_MEDIA << 8 | NVME_SC_COMPARE_FAILED));
  CHECK(d.bob.io(1).take(late_swap).status == NVME_SC_FUSED_FAIL);
}

TEST_CASE("a gate that comes while a pair runs is closed, opens with the others, and goes while others wait") {
  World world;
  Host host(world);
  host.bring_up(1);
  world.disk_1.blocks = Bytes(World::kBlocks * 512);
  world.disk_1.hold = true;
  const size_t swap = [&] {
    host.io(1).post(half(nvme_cmd_compare, 1, 1), Bytes(512));
    return host.io(1).post(half(nvme_cmd_write, 2, 1), Bytes(512));
  }();
  world.disperse();
  Sharer bob(world, 2, World::kOtherNqn, World::kDispersedNsid, 2);
  const size_t write = bob.io(1).post(command(nvme_cmd_write, World::kDispersedNsid), Bytes(512));
  CHECK(world.disk_1.seen.size() == 1);
  while (!host.io(1).answered(swap)) world.disk_1.complete_all();
  world.disk_1.complete_all();
  CHECK(bob.io(1).take(write).ok());

  world.fused_turns_1.remove(*world.other_table.by_nsid[World::kDispersedNsid - 1]->gate);
  world.disk_1.hold = false;
  host.io(1).post(half(nvme_cmd_compare, 1, 1), Bytes(512));
  CHECK(host.io(1).send(half(nvme_cmd_write, 2, 1), Bytes(512)).ok());
}

}  // namespace
}  // namespace nvmf::test
