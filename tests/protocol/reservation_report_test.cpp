// What hosts are told of reservations: Report, notifications, Identify, features. NVMe Base 2.0, sections 7.5,
// 5.16.1.24, 5.27.1.26, 5.27.1.27 and 8.19.1.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/protocol/reservation_hosts.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kLogPageAvailable = 0x800006;  // I/O command specific, log page available, page 80h
constexpr uint8_t kNothing = NVME_RESV_NOTIFY_RNLPT_EMPTY;
constexpr uint8_t kRegistrationPreempted = NVME_RESV_NOTIFY_RNLPT_REGISTRATION_PREEMPTED;
constexpr uint8_t kReservationReleased = NVME_RESV_NOTIFY_RNLPT_RESERVATION_RELEASED;
constexpr uint8_t kReservationPreempted = NVME_RESV_NOTIFY_RNLPT_RESERVATION_PREEMPTED;

Bytes bytes(std::initializer_list<int> values, size_t size) {
  Bytes all(size);
  std::ranges::transform(values, all.begin(), [](int value) { return static_cast<std::byte>(value); });
  return all;
}

struct Cluster {
  World world;
  Memory memory;
  Sharer a{world, 0xa};
  Sharer a_again{world, 0xa};
  Sharer b{world, 0xb};

  Cluster() { world.target.reservation_store = &memory; }
  void both_register() {
    REQUIRE(a.register_key(kKeyA).ok());
    REQUIRE(b.register_key(kKeyB).ok());
  }
};

TEST_CASE("nobody is registered: the report is zeroes") {
  Cluster cluster;
  CHECK(cluster.a.report(64).data == Bytes(64));
}

TEST_CASE("golden bytes of a report: a host with two controllers holds, another is registered") {
  Cluster cluster;
  REQUIRE(cluster.a.register_key(0x1122334455667788, 3).ok());
  REQUIRE(cluster.b.register_key(kKeyB).ok());
  REQUIRE(cluster.a_again.acquire(0x1122334455667788, kWriteExclusiveRegistrants).ok());
  const Answer report = cluster.b.report(256);
  Bytes expected = bytes({2, 0, 0, 0, 3, 3, 0, 0, 0, 1}, 64);
  const Bytes entries[] = {bytes({1,   0, 1, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  //
                                  0xa, 2, 3, 4, 5, 6, 7, 8, 9,    10,   11,   12,   13,   14,   15,   16},
                                 64),
                           bytes({2,   0, 1, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  //
                                  0xa, 2, 3, 4, 5, 6, 7, 8, 9,    10,   11,   12,   13,   14,   15,   16},
                                 64),
                           bytes({3,   0, 0, 0, 0, 0, 0, 0, 0x0b, 0x0b, 0,  0,  0,  0,  0,  0,  //
                                  0xb, 2, 3, 4, 5, 6, 7, 8, 9,    10,   11, 12, 13, 14, 15, 16},
                                 64)};
  for (const Bytes& entry : entries) expected.insert(expected.end(), entry.begin(), entry.end());
  CHECK(report.data == expected);
}

TEST_CASE("host has room for less of the report: as much as it asked for, and the count of all") {
  Cluster cluster;
  cluster.both_register();
  const Answer whole = cluster.a.report(4096);
  CHECK(Bytes(whole.data.begin() + 4 * 64, whole.data.end()) == Bytes(4096 - 4 * 64));
  for (const uint32_t length : {4u, 8u, 64u, 68u, 128u, 132u, 256u, 260u}) {
    CAPTURE(length);
    const Answer part = cluster.a.report(length);
    REQUIRE(part.ok());
    CHECK(part.data == Bytes(whole.data.begin(), whole.data.begin() + length));
  }
  CHECK(registered_controllers(cluster.a.report(64)) == 3);
}

TEST_CASE("host asks for a report that has no room for its identifier: Host Identifier Inconsistent Format") {
  Cluster cluster;
  const Answer answer = cluster.a.report(4096, 0);
  CHECK(answer.status == NVME_SC_HOSTID_FORMAT);
  CHECK(answer.do_not_retry);
  CHECK(cluster.a.controller().errors().entry(0).parm_error_location == 44);
}

TEST_CASE("host asks for a report longer than MDTS: Invalid Field at NUMD") {
  Cluster cluster;
  CHECK(cluster.a.report(65536).ok());
  CHECK(cluster.a.report(65540).status == NVME_SC_INVALID_FIELD);
  CHECK(cluster.a.controller().errors().entry(0).parm_error_location == 40);
}

TEST_CASE("registered host has no controller at the moment: the report has it with CNTLID FFFFh") {
  Cluster cluster;
  cluster.both_register();
  cluster.b.admin.close();
  const Answer report = cluster.a.report();
  CHECK(registered_controllers(report) == 3);
  CHECK(registered_controller(report, 2).cntlid == 0xffff);
  CHECK(registered_controller(report, 2).hostid[0] == 0xb);
}

TEST_CASE("host is preempted: every controller of it is told, and the page is gone once read") {
  Cluster cluster;
  cluster.both_register();
  const size_t first = cluster.a.await_event();
  const size_t second = cluster.a_again.await_event();
  const size_t other = cluster.b.await_event();
  REQUIRE(cluster.a.acquire(kKeyA, kWriteExclusive).ok());
  REQUIRE(cluster.b.preempt(kKeyB, kKeyA, kWriteExclusive).ok());
  CHECK(cluster.a.admin.take(first).result == kLogPageAvailable);
  CHECK(cluster.a_again.admin.take(second).result == kLogPageAvailable);
  CHECK_FALSE(cluster.b.admin.answered(other));
  const Bytes expected = bytes({1, 0, 0, 0, 0, 0, 0, 0, kRegistrationPreempted, 0, 0, 0, 1}, 64);
  CHECK(cluster.a.log_page(NVME_LOG_LID_RESERVATION, 64).data == expected);
  CHECK(cluster.a.log_page(NVME_LOG_LID_RESERVATION, 64).data == Bytes(64));
  CHECK(cluster.a_again.notification().rnlpt == kRegistrationPreempted);
  CHECK(cluster.b.notification().rnlpt == kNothing);
}

TEST_CASE("a reservation is released, changes its type or is cleared: which registrants are told what") {
  Cluster cluster;
  cluster.both_register();
  SUBCASE("a type that only its holder may write under is released: nobody is told") {
    cluster.a.acquire(kKeyA, kExclusiveAccess);
    cluster.a.release(kKeyA, kExclusiveAccess);
    CHECK(cluster.b.notification().rnlpt == kNothing);
  }
  SUBCASE("one that registrants share is released") {
    cluster.a.acquire(kKeyA, kWriteExclusiveAll);
    cluster.a.release(kKeyA, kWriteExclusiveAll);
    CHECK(cluster.b.notification().rnlpt == kReservationReleased);
    CHECK(cluster.a_again.notification().rnlpt == kNothing);
  }
  SUBCASE("its holder unregisters") {
    cluster.a.acquire(kKeyA, kExclusiveAccessRegistrants);
    cluster.a.unregister_key(kKeyA);
    CHECK(cluster.b.notification().rnlpt == kReservationReleased);
  }
  SUBCASE("its holder changes the type") {
    cluster.a.acquire(kKeyA, kWriteExclusiveRegistrants);
    cluster.a.preempt(kKeyA, kKeyA, kExclusiveAccess);
    CHECK(cluster.b.notification().rnlpt == kReservationReleased);
  }
  SUBCASE("its holder keeps the type") {
    cluster.a.acquire(kKeyA, kWriteExclusiveRegistrants);
    cluster.a.preempt(kKeyA, kKeyA, kWriteExclusiveRegistrants);
    CHECK(cluster.b.notification().rnlpt == kNothing);
  }
  SUBCASE("a registrant clears it") {
    cluster.b.clear(kKeyB);
    CHECK(cluster.a.notification().rnlpt == kReservationPreempted);
    CHECK(cluster.b.notification().rnlpt == kNothing);
  }
}

TEST_CASE("the operator clears: nobody is registered or kept out, and every registered host is told") {
  Cluster cluster;
  REQUIRE(cluster.a.register_key(kKeyA, NVME_RESERVATION_CPTPL_PERSIST).ok());
  REQUIRE(cluster.b.register_key(kKeyB).ok());
  REQUIRE(cluster.a.acquire(kKeyA, kExclusiveAccess).ok());
  REQUIRE(cluster.b.write() == NVME_SC_RESERVATION_CONFLICT);
  const size_t event = cluster.a.await_event();
  core::Status status = NVME_SC_INTERNAL;
  const auto clear = [&] {
    cluster.world.subsystem.reservations().clear(1, [&](core::Status ended) { status = ended; });
  };
  SUBCASE("saved") {
    clear();
    CHECK(status.ok());
    CHECK(cluster.a.admin.take(event).result == kLogPageAvailable);
    for (Sharer* host : {&cluster.a, &cluster.a_again, &cluster.b}) {
      CHECK(host->notification().rnlpt == kReservationPreempted);
      CHECK(host->write() == 0);
    }
    const auto report = cluster.b.report().as<nvme_resv_status>();
    CHECK(report.rtype == 0);
    CHECK(report.gen == 3);
    CHECK(report.ptpls == 1);
    CHECK(registered_controllers(cluster.b.report()) == 0);
    CHECK(cluster.memory.saved[{World::kNqn, 1}].registrants.empty());
  }
  SUBCASE("it cannot be saved: nothing has changed") {
    cluster.memory.full = true;
    clear();
    CHECK_FALSE(status.ok());
    CHECK(cluster.b.write() == NVME_SC_RESERVATION_CONFLICT);
    CHECK(cluster.b.notification().rnlpt == kNothing);
  }
}

// b causes a notification for a, again and again.
void notify(Cluster& cluster) {
  REQUIRE(cluster.b.acquire(kKeyB, kWriteExclusiveAll).ok());
  REQUIRE(cluster.b.release(kKeyB, kWriteExclusiveAll).ok());
}

TEST_CASE("several notifications: one event, and the pages in order, each with how many more there are") {
  Cluster cluster;
  cluster.both_register();
  const size_t first = cluster.a.await_event();
  const size_t second = cluster.a.await_event();
  for (int i = 0; i < 3; ++i) notify(cluster);
  CHECK(cluster.a.admin.answered(first));
  CHECK_FALSE(cluster.a.admin.answered(second));
  const auto retained = cluster.a.notification(true);
  CHECK(retained.lpc == 1);
  CHECK(retained.nalp == 2);
  CHECK_FALSE(cluster.a.admin.answered(second));
  CHECK(cluster.a.notification().lpc == 1);
  CHECK(cluster.a.admin.answered(second));
  CHECK(cluster.a.notification().lpc == 2);
  const auto last = cluster.a.notification();
  CHECK(last.lpc == 3);
  CHECK(last.nalp == 0);
  CHECK(last.nsid == 1);
  CHECK(cluster.a.notification().lpc == 0);
}

TEST_CASE("host leaves notifications unread: the oldest are lost, and the count shows how many") {
  Cluster cluster;
  cluster.both_register();
  for (int i = 0; i < 70; ++i) notify(cluster);
  const auto oldest = cluster.a.notification();
  CHECK(oldest.lpc == 7);
  CHECK(oldest.nalp == 63);
}

TEST_CASE("host resets the controller: no pages, no masks, and it counts from 1") {
  Cluster cluster;
  cluster.both_register();
  notify(cluster);
  CHECK(cluster.a.set_feature(NVME_FEAT_FID_RESV_MASK, NVME_FEAT_RESV_NOTIFY_RESREL, 1).ok());
  cluster.a.enable(0);
  cluster.a.enable();
  CHECK(cluster.a.notification().lpc == 0);
  notify(cluster);
  CHECK(cluster.a.notification().lpc == 1);
}

TEST_CASE("host reads the notifications of one namespace: Invalid Field, they are the controller's") {
  Cluster cluster;
  const Sqe sqe = get_log_page(NVME_LOG_LID_RESERVATION, 64, 0, false, 1);
  CHECK(cluster.a.admin.send(sqe, Bytes(64)).status == NVME_SC_INVALID_FIELD);
}

Answer get_of(Host& host, uint8_t fid, uint32_t nsid, uint8_t sel = 0) {
  return host.admin.send(command(nvme_admin_get_features, nsid, fid | uint32_t{sel} << 8));
}

TEST_CASE("host masks notifications: of one namespace or all, for one controller") {
  Cluster cluster;
  cluster.both_register();
  constexpr uint8_t kMask = NVME_FEAT_FID_RESV_MASK;
  CHECK(cluster.a.set_feature(kMask, NVME_FEAT_RESV_NOTIFY_RESREL, 1).ok());
  CHECK(get_of(cluster.a, kMask, 1).result == NVME_FEAT_RESV_NOTIFY_RESREL);
  CHECK(get_of(cluster.a, kMask, 3).result == 0);
  CHECK(get_of(cluster.a, kMask, 1, NVME_GET_FEATURES_SEL_DEFAULT).result == 0);
  CHECK(get_of(cluster.a_again, kMask, 1).result == 0);
  const size_t awaited = cluster.a.await_event();
  notify(cluster);
  CHECK_FALSE(cluster.a.admin.answered(awaited));
  CHECK(cluster.a.notification().rnlpt == kNothing);
  CHECK(cluster.a_again.notification().rnlpt == kReservationReleased);
  REQUIRE(cluster.b.clear(kKeyB).ok());
  CHECK(cluster.a.admin.answered(awaited));
  CHECK(cluster.a.notification().rnlpt == kReservationPreempted);

  CHECK(cluster.a.set_feature(kMask, 0xe, NVME_NSID_ALL).ok());
  CHECK(get_of(cluster.a, kMask, 1).result == 0xe);
  CHECK(get_of(cluster.a, kMask, 3).result == 0xe);
}

TEST_CASE("host sets or gets a reservation feature of no namespace, or with bits that mean nothing") {
  Cluster cluster;
  for (const uint8_t fid : {NVME_FEAT_FID_RESV_MASK, NVME_FEAT_FID_RESV_PERSIST}) {
    CAPTURE(int{fid});
    CHECK(cluster.a.set_feature(fid, 0, 0).status == NVME_SC_INVALID_NS);
    CHECK(cluster.a.set_feature(fid, 0, 2).status == NVME_SC_INVALID_NS);
    CHECK(get_of(cluster.a, fid, 0).status == NVME_SC_INVALID_NS);
    CHECK(get_of(cluster.a, fid, NVME_NSID_ALL).status == NVME_SC_INVALID_NS);
    CHECK(cluster.a.set_feature(fid, 0x10, 1).status == NVME_SC_INVALID_FIELD);
    CHECK(cluster.a.controller().errors().entry(0).parm_error_location == 44);
    CHECK(get_of(cluster.a, fid, 0, NVME_GET_FEATURES_SEL_SUPPORTED).result == 6);
  }
  CHECK(cluster.a.set_feature(NVME_FEAT_FID_RESV_MASK, 1, 1).status == NVME_SC_INVALID_FIELD);
}

TEST_CASE("Identify tells of reservations: every type, and persistence where it has a place") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK((host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().oncs & NVME_CTRL_ONCS_RESERVATIONS) != 0);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().rescap == 0xfe);
  Memory memory;
  world.target.reservation_store = &memory;
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().rescap == 0xff);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 1).as<nvme_id_independent_id_ns>().rescap == 0xff);
}

TEST_CASE("command effects and features name what reservations are made of") {
  Cluster cluster;
  const auto effects = cluster.a.log_page(NVME_LOG_LID_CMD_EFFECTS, 4096).as<nvme_cmd_effects_log>();
  for (const int opcode : {0x0d, 0x0e, 0x11, 0x15}) CHECK(effects.iocs[opcode] == NVME_CMD_EFFECTS_CSUPP);
  const auto features =
      cluster.a.log_page(NVME_LOG_LID_FID_SUPPORTED_EFFECTS, 1024).as<nvme_fid_supported_effects_log>();
  CHECK(features.fid_support[NVME_FEAT_FID_RESV_MASK] == (1u | 1u << 20));
  CHECK(features.fid_support[NVME_FEAT_FID_RESV_PERSIST] == (1u | 1u << 20));
}

}  // namespace
}  // namespace nvmf::test
