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

// Commands of two hosts on namespace 1 while the disk under the state directory is slow.
struct Slow : Persistent {
  Slow() { memory.slow = true; }
  static size_t post_register(Sharer& host, uint64_t key, uint32_t cptpl = 0) {
    return host.post_reserve(nvme_cmd_resv_register, cptpl << 30, 0, key);
  }
  static size_t post_acquire(Sharer& host, uint64_t key, uint64_t prkey = 0, uint32_t action = 0) {
    return host.post_reserve(nvme_cmd_resv_acquire, uint32_t{kExclusiveAccess} << 8 | action, key, prkey);
  }
};

TEST_CASE("the disk under the state directory is slow: the answer waits for it, and nothing else does") {
  Slow hosts;
  const size_t first = Slow::post_register(hosts.a, kKeyA, kPersist);
  CHECK(hosts.memory.saves == 1);
  CHECK_FALSE(hosts.a.io(1).answered(first));
  CHECK(hosts.b.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK(registered_controllers(hosts.b.report()) == 0);
  CHECK(hosts.b.write() == 0);
  CHECK(hosts.a.write() == 0);
  hosts.memory.write_all();
  CHECK(hosts.a.io(1).take(first).ok());
  CHECK(registered_controllers(hosts.b.report()) == 1);
}

TEST_CASE("changes wait for the one that is being saved, and are made in their order") {
  Slow hosts;
  const size_t first = Slow::post_register(hosts.a, kKeyA, kPersist);
  const size_t second = Slow::post_register(hosts.b, kKeyB);
  const size_t third = Slow::post_acquire(hosts.a, kKeyA);
  const size_t fourth = Slow::post_acquire(hosts.b, kKeyB);
  CHECK(hosts.memory.saves == 1);
  hosts.memory.write_all();
  CHECK(hosts.a.io(1).take(first).ok());
  CHECK_FALSE(hosts.b.io(1).answered(second));
  hosts.memory.write_all();
  CHECK(hosts.b.io(1).take(second).ok());
  CHECK_FALSE(hosts.a.io(1).answered(third));
  CHECK(hosts.b.read() == 0);
  hosts.memory.write_all();
  CHECK(hosts.a.io(1).take(third).ok());
  CHECK(hosts.b.io(1).take(fourth).status == NVME_SC_RESERVATION_CONFLICT);
  CHECK(hosts.b.read() == NVME_SC_RESERVATION_CONFLICT);
  CHECK(hosts.saved().registrants.size() == 2);
  CHECK(hosts.saved().holder == hosts.a.hostid);
}

TEST_CASE("a change of one namespace does not wait for that of another") {
  Slow hosts;
  Sharer elsewhere(hosts.world, 0xc, World::kNqn, 3, 1);
  const size_t first = Slow::post_register(hosts.a, kKeyA, kPersist);
  const size_t other = Slow::post_register(elsewhere, kKeyB, kPersist);
  CHECK(hosts.memory.saves == 2);
  hosts.memory.write_all();
  CHECK(hosts.a.io(1).take(first).ok());
  CHECK(elsewhere.io(1).take(other).ok());
}

TEST_CASE("a state could not be saved: what waited is made on the former state, and the next state is saved anyhow") {
  Slow hosts;
  const size_t first = Slow::post_register(hosts.a, kKeyA, kPersist);
  const size_t second = Slow::post_register(hosts.b, kKeyB);
  hosts.memory.full = true;
  hosts.memory.write_all();
  CHECK(hosts.a.io(1).take(first).status == NVME_SC_INTERNAL);
  CHECK(hosts.memory.saves == 2);  // the file may have the state of the first
  hosts.memory.full = false;
  hosts.memory.write_all();
  CHECK(hosts.b.io(1).take(second).ok());
  CHECK(hosts.saved() == core::ReservationState{});
  CHECK(registered_controllers(hosts.b.report()) == 1);
  hosts.memory.slow = false;
  CHECK(hosts.b.acquire(kKeyB, kWriteExclusive).ok());
  CHECK(hosts.memory.saves == 2);
}

TEST_CASE("the namespace is removed while its state is saved: the change is kept, the next one is refused") {
  Slow hosts;
  const size_t first = Slow::post_register(hosts.a, kKeyA, kPersist);
  const size_t second = Slow::post_register(hosts.b, kKeyB);
  const core::NamespaceOptions options = *hosts.world.subsystem.find_namespace(1);
  hosts.world.subsystem.remove_namespace(1);
  SUBCASE("for good") {
    hosts.memory.write_all();
    CHECK(hosts.b.io(1).take(second).status == NVME_SC_INVALID_NS);
  }
  SUBCASE("and added again before: the state holds there") {
    hosts.world.subsystem.add_namespace(options);
    hosts.memory.write_all();
    hosts.memory.write_all();
    CHECK(hosts.b.io(1).take(second).ok());
    CHECK(registered_controllers(hosts.a.report()) == 2);
  }
  CHECK(hosts.a.io(1).take(first).ok());
  CHECK(hosts.saved().ptpl);
}

TEST_CASE("Preempt and Abort: commands of the preempted host run until the state is saved, and have ended then") {
  Slow hosts;
  hosts.memory.slow = false;
  REQUIRE(hosts.a.register_key(kKeyA, kPersist).ok());
  REQUIRE(hosts.b.register_key(kKeyB).ok());
  REQUIRE(hosts.a.acquire(kKeyA, kExclusiveAccess).ok());
  hosts.memory.slow = true;
  const size_t preempt = Slow::post_acquire(hosts.b, kKeyB, kKeyA, 2);
  CHECK(hosts.a.write() == 0);
  hosts.world.disk_1.hold = true;
  const size_t write = hosts.a.io(1).post(command(nvme_cmd_write, 1), Bytes(512));
  hosts.memory.write_all();
  CHECK_FALSE(hosts.b.io(1).answered(preempt));
  hosts.world.disk_1.complete_all();
  CHECK(hosts.a.io(1).take(write).ok());
  CHECK(hosts.b.io(1).take(preempt).ok());
}

TEST_CASE("host sets persistence as a feature while the disk is slow: answered when every namespace's is saved") {
  Slow hosts;
  Sqe all = command(nvme_admin_set_features, NVME_NSID_ALL, NVME_FEAT_FID_RESV_PERSIST, 1);
  const size_t number = hosts.a.admin.post(all);
  CHECK(hosts.memory.saves == 2);
  CHECK_FALSE(hosts.a.admin.answered(number));
  CHECK(hosts.a.admin.send(command(nvme_admin_keep_alive)).ok());
  hosts.memory.write_all();
  CHECK(hosts.a.admin.take(number).ok());
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
