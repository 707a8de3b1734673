// Persist Through Power Loss: what is saved, when, and what a target that starts again does with it. NVMe Base 2.0,
// sections 7.3 and 5.27.1.27.
#include <doctest/doctest.h>

#include "tests/protocol/reservation_hosts.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kClear = NVME_RESERVATION_CPTPL_CLEAR;
constexpr uint32_t kPersist = NVME_RESERVATION_CPTPL_PERSIST;
constexpr uint32_t kNewNsid = 9;

struct Persistent {
  World world;
  Memory memory;
  Sharer a{world, 0xa};
  Sharer b{world, 0xb};

  Persistent() { world.target.reservation_store = &memory; }
  core::ReservationState& saved() { return memory.saved[{World::kNqn, 1}]; }
  Answer get_persistence() { return a.admin.send(command(nvme_admin_get_features, 1, NVME_FEAT_FID_RESV_PERSIST)); }
};

TEST_CASE("host does not ask for persistence: nothing is saved") {
  Persistent hosts;
  hosts.a.register_key(kKeyA);
  hosts.a.acquire(kKeyA, kWriteExclusive);
  CHECK(hosts.memory.saves == 0);
  CHECK(hosts.a.report().as<nvme_resv_status>().ptpls == 0);
}

TEST_CASE("host asks for persistence: every change is saved before it is answered") {
  Persistent hosts;
  REQUIRE(hosts.a.register_key(kKeyA, kPersist).ok());
  CHECK(hosts.saved().ptpl);
  CHECK(hosts.saved().registrants == std::vector<core::Registrant>{{hosts.a.hostid, kKeyA}});
  CHECK(hosts.a.report().as<nvme_resv_status>().ptpls == 1);
  REQUIRE(hosts.b.register_key(kKeyB).ok());
  REQUIRE(hosts.b.acquire(kKeyB, kExclusiveAccess).ok());
  CHECK(hosts.saved().rtype == kExclusiveAccess);
  CHECK(hosts.saved().holder == hosts.b.hostid);
  CHECK(hosts.saved().generation == 2);
  const int saves = hosts.memory.saves;
  CHECK(hosts.a.acquire(kKeyA, kWriteExclusive).status == NVME_SC_RESERVATION_CONFLICT);
  CHECK(hosts.b.acquire(kKeyB, kExclusiveAccess).ok());
  hosts.a.report();
  CHECK(hosts.memory.saves == saves);
}

TEST_CASE("host gives persistence up: nothing of the reservation would survive") {
  Persistent hosts;
  REQUIRE(hosts.a.register_key(kKeyA, kPersist).ok());
  SUBCASE("by Reservation Register") { CHECK(hosts.a.register_key(kKeyA, kClear).ok()); }
  SUBCASE("by Set Features") { CHECK(hosts.a.set_feature(NVME_FEAT_FID_RESV_PERSIST, 0, 1).ok()); }
  CHECK(hosts.saved() == core::ReservationState{});
  CHECK(hosts.get_persistence().result == 0);
  CHECK(registered_controllers(hosts.a.report()) == 1);
}

TEST_CASE("host sets persistence as a feature: of one namespace or of all") {
  Persistent hosts;
  REQUIRE(hosts.a.register_key(kKeyA).ok());
  SUBCASE("one") {
    CHECK(hosts.a.set_feature(NVME_FEAT_FID_RESV_PERSIST, 1, 1).ok());
    CHECK(hosts.memory.saved.count({World::kNqn, 3}) == 0);
  }
  SUBCASE("all") {
    CHECK(hosts.a.set_feature(NVME_FEAT_FID_RESV_PERSIST, 1, NVME_NSID_ALL).ok());
    CHECK(hosts.memory.saved[{World::kNqn, 3}].ptpl);
  }
  CHECK(hosts.get_persistence().result == 1);
  CHECK(hosts.saved().registrants.size() == 1);
}

TEST_CASE("the state cannot be saved: Internal Error, and nothing has changed for anybody") {
  Persistent hosts;
  hosts.memory.full = true;
  CHECK(hosts.a.register_key(kKeyA, kPersist).status == NVME_SC_INTERNAL);
  CHECK(hosts.a.set_feature(NVME_FEAT_FID_RESV_PERSIST, 1, 1).status == NVME_SC_INTERNAL);
  CHECK(hosts.get_persistence().result == 0);
  CHECK(registered_controllers(hosts.a.report()) == 0);

  hosts.memory.full = false;
  REQUIRE(hosts.a.register_key(kKeyA, kPersist).ok());
  REQUIRE(hosts.b.register_key(kKeyB).ok());
  hosts.memory.full = true;
  CHECK(hosts.a.acquire(kKeyA, kExclusiveAccess).status == NVME_SC_INTERNAL);
  CHECK(hosts.b.read() == 0);
  CHECK(hosts.b.preempt(kKeyB, kKeyA, kExclusiveAccess).status == NVME_SC_INTERNAL);
  CHECK(hosts.a.notification().rnlpt == 0);
  CHECK(hosts.a.set_feature(NVME_FEAT_FID_RESV_PERSIST, 0, 1).status == NVME_SC_INTERNAL);
  CHECK(hosts.get_persistence().result == 1);
}

TEST_CASE("there is no place for persistence: host is refused it, not the reservation") {
  World world;
  Sharer host(world, 0xa);
  CHECK(host.register_key(kKeyA, kPersist).status == NVME_SC_INVALID_FIELD);
  CHECK(host.set_feature(NVME_FEAT_FID_RESV_PERSIST, 1, 1).status == NVME_SC_INVALID_FIELD);
  CHECK(host.set_feature(NVME_FEAT_FID_RESV_PERSIST, 0, 1).ok());
  CHECK(host.register_key(kKeyA, kClear).ok());
}

TEST_CASE("target starts again: the reservation is in force for hosts that are there and for those that come") {
  Persistent hosts;
  core::ReservationState& state = hosts.memory.saved[{World::kNqn, kNewNsid}];
  state = {.registrants = {{hosts.b.hostid, kKeyB}}, .rtype = kExclusiveAccess, .holder = hosts.b.hostid, .ptpl = true};
  hosts.world.subsystem.add_namespace({.nsid = kNewNsid, .lba_shift = 9, .block_count = 7});
  constexpr core::Denials kReserved = core::kReservedFromReads | core::kReservedFromWrites;
  CHECK(hosts.a.controller().denials(kNewNsid) == kReserved);
  CHECK(hosts.b.controller().denials(kNewNsid) == 0);
  Sharer late(hosts.world, 0xc);
  CHECK(late.controller().denials(kNewNsid) == kReserved);
}

TEST_CASE("what was saved cannot be read: the namespace is not added") {
  Persistent hosts;
  hosts.memory.broken = true;
  CHECK_THROWS_WITH(hosts.world.subsystem.add_namespace({.nsid = kNewNsid, .lba_shift = 9, .block_count = 7}),
                    "the file is broken");
  CHECK(hosts.world.subsystem.find_namespace(kNewNsid) == nullptr);
}

TEST_CASE("a state that contradicts itself is told from one that does not") {
  const core::HostId a{1};
  const core::HostId b{2};
  const auto is_good = [](const core::ReservationState& state) { return core::find_fault(state).empty(); };
  CHECK(is_good({}));
  CHECK(is_good({.registrants = {{a, 1}, {b, 1}}, .rtype = kWriteExclusive, .holder = b}));
  CHECK(is_good({.registrants = {{a, 1}}, .rtype = kWriteExclusiveAll, .holder = {}}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}, {a, 2}}, .holder = {}}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}}, .rtype = 7, .holder = a}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}}, .rtype = kWriteExclusive, .holder = b}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}}, .rtype = kWriteExclusive, .holder = {}}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}}, .rtype = 0, .holder = a}));
  CHECK_FALSE(is_good({.registrants = {{a, 1}}, .rtype = kWriteExclusiveAll, .holder = a}));
  CHECK_FALSE(is_good({.registrants = {}, .rtype = kWriteExclusiveAll, .holder = {}}));
}

}  // namespace
}  // namespace nvmf::test
