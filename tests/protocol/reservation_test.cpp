// Reservation Register, Acquire and Release: what each does to whom, and each status. NVMe Base 2.0, sections 7.2 to
// 7.4 and 8.19.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "tests/protocol/reservation_hosts.h"

namespace nvmf::test {
namespace {

constexpr int kConflict = NVME_SC_RESERVATION_CONFLICT;
constexpr uint8_t kEveryType[] = {
    kWriteExclusive,    kExclusiveAccess,   kWriteExclusiveRegistrants, kExclusiveAccessRegistrants,
    kWriteExclusiveAll, kExclusiveAccessAll};

bool all_hold(uint8_t rtype) { return rtype >= kWriteExclusiveAll; }
bool registrants_may(uint8_t rtype) { return rtype >= kWriteExclusiveRegistrants; }
bool excludes_readers(uint8_t rtype) { return rtype % 2 == 0; }

struct TwoHosts {
  World world;
  Sharer a{world, 0xa};
  Sharer b{world, 0xb};

  void both_register() {
    REQUIRE(a.register_key(kKeyA).ok());
    REQUIRE(b.register_key(kKeyB).ok());
  }
  nvme_resv_status head() { return a.report().as<nvme_resv_status>(); }
  unsigned rtype() { return head().rtype; }
  unsigned generation() { return head().gen; }
  unsigned registered() { return registered_controllers(a.report()); }
};

TEST_CASE("host registers a key, and may register the same again, but no other: Reservation Conflict") {
  TwoHosts hosts;
  CHECK(hosts.a.register_key(kKeyA).ok());
  CHECK(hosts.a.register_key(kKeyA).ok());
  const Answer other = hosts.a.register_key(kKeyB);
  CHECK(other.status == kConflict);
  CHECK(other.do_not_retry);
  CHECK(hosts.a.register_key(kKeyB, 0, true).status == kConflict);
  CHECK(registered_controller(hosts.a.report(), 0).rkey == kKeyA);
  CHECK(hosts.generation() == 2);
}

TEST_CASE("a namespace with a reservation is removed, and another one gets its number: that one keeps nobody out") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kExclusiveAccess).ok());
  REQUIRE(hosts.b.read() == kConflict);
  const core::NamespaceOptions options = *hosts.world.subsystem.find_namespace(1);
  hosts.world.subsystem.remove_namespace(1);
  CHECK(hosts.b.read() == kConflict);  // its queue has the namespace still
  CHECK(hosts.b.write() == kConflict);
  hosts.world.subsystem.add_namespace(options);
  CHECK(hosts.registered() == 0);
  CHECK(hosts.b.read() == 0);
  CHECK(hosts.b.write() == 0);
}

TEST_CASE("two hosts register the same key: both are registered") {
  TwoHosts hosts;
  CHECK(hosts.a.register_key(kKeyA).ok());
  CHECK(hosts.b.register_key(kKeyA).ok());
  CHECK(hosts.registered() == 2);
}

TEST_CASE("host unregisters: only with its key, unless it asks to ignore that") {
  TwoHosts hosts;
  CHECK(hosts.a.unregister_key(kKeyA).status == kConflict);
  CHECK(hosts.a.unregister_key(kKeyA, true).status == kConflict);
  hosts.both_register();
  CHECK(hosts.a.unregister_key(kKeyB).status == kConflict);
  CHECK(hosts.a.unregister_key(kKeyA).ok());
  CHECK(hosts.b.unregister_key(0, true).ok());
  CHECK(hosts.registered() == 0);
  CHECK(hosts.generation() == 4);
}

TEST_CASE("host replaces its key: with the current one; ignoring it, even when it is not registered") {
  TwoHosts hosts;
  CHECK(hosts.a.replace_key(kKeyA, 7).status == kConflict);
  CHECK(hosts.a.replace_key(0, kKeyA, true).ok());
  CHECK(hosts.a.replace_key(kKeyB, 7).status == kConflict);
  CHECK(hosts.a.replace_key(kKeyA, 7).ok());
  CHECK(registered_controller(hosts.a.report(), 0).rkey == 7);
  CHECK(hosts.a.replace_key(0, 8, true).ok());
  CHECK(registered_controller(hosts.a.report(), 0).rkey == 8);
  CHECK(hosts.generation() == 3);
}

TEST_CASE("hosts register without end: Internal Error when there is no room, and who is registered stays so") {
  TwoHosts hosts;
  const auto crowd = [](core::Reservation& reservation) {
    for (uint32_t i = 0; i < core::limits::kMaxRegistrants; ++i) {
      const core::HostId host{0xff, static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8)};
      CHECK(reservation.register_key(host, i + 1).ok());
    }
    return core::kSuccess;
  };
  Status changed = NVME_SC_INTERNAL;
  hosts.world.subsystem.reservations().change(1, crowd, [&](Status status) { changed = status; });
  REQUIRE(changed.ok());
  const Answer answer = hosts.a.register_key(kKeyA);
  CHECK(answer.status == NVME_SC_INTERNAL);
  CHECK(answer.do_not_retry);
  CHECK(hosts.registered() == core::limits::kMaxRegistrants);
}

TEST_CASE("host that is not registered acquires, preempts, releases, clears: Reservation Conflict") {
  TwoHosts hosts;
  REQUIRE(hosts.b.register_key(kKeyB).ok());
  CHECK(hosts.a.acquire(kKeyA, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.preempt(kKeyA, kKeyB, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.preempt(kKeyA, kKeyB, kWriteExclusive, 2).status == kConflict);
  CHECK(hosts.a.release(kKeyA, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.clear(kKeyA).status == kConflict);
}

TEST_CASE("host gives another key than its own: Reservation Conflict") {
  TwoHosts hosts;
  hosts.both_register();
  CHECK(hosts.a.acquire(kKeyB, kWriteExclusive).status == kConflict);
  REQUIRE(hosts.a.acquire(kKeyA, kWriteExclusive).ok());
  CHECK(hosts.b.preempt(kKeyA, kKeyA, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.release(kKeyB, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.clear(kKeyB).status == kConflict);
}

TEST_CASE("host acquires a reservation of each type: others cannot, unless all registrants hold it") {
  for (const uint8_t rtype : kEveryType) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    hosts.both_register();
    CHECK(hosts.a.acquire(kKeyA, rtype).ok());
    CHECK(hosts.a.acquire(kKeyA, rtype).ok());
    const uint8_t other_type = rtype == kWriteExclusive ? kExclusiveAccess : kWriteExclusive;
    CHECK(hosts.a.acquire(kKeyA, other_type).status == kConflict);
    CHECK(hosts.b.acquire(kKeyB, rtype).status == (all_hold(rtype) ? 0 : kConflict));
    CHECK(hosts.rtype() == rtype);
    CHECK(registered_controller(hosts.a.report(), 0).rcsts == 1);
    CHECK(registered_controller(hosts.a.report(), 1).rcsts == (all_hold(rtype) ? 1 : 0));
    CHECK(hosts.generation() == 2);
  }
}

TEST_CASE("hosts read and write under each type: as holder, as registrant and as stranger") {
  for (const uint8_t rtype : kEveryType) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    Sharer stranger(hosts.world, 0xc);
    hosts.both_register();
    REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
    CHECK(hosts.a.read() == 0);
    CHECK(hosts.a.write() == 0);
    CHECK(hosts.b.read() == (registrants_may(rtype) || !excludes_readers(rtype) ? 0 : kConflict));
    CHECK(hosts.b.write() == (registrants_may(rtype) ? 0 : kConflict));
    CHECK(stranger.read() == (excludes_readers(rtype) ? kConflict : 0));
    CHECK(stranger.write() == kConflict);
    CHECK(stranger.io(1).send(command(nvme_cmd_flush, 1)).status == kConflict);
    CHECK(stranger.io(1).send(command(nvme_cmd_write, 3), Bytes(4096)).ok());

    REQUIRE(hosts.a.release(kKeyA, rtype).ok());
    CHECK(hosts.b.write() == 0);
    CHECK(stranger.read() == 0);
    CHECK(stranger.write() == 0);
  }
}

TEST_CASE("host connects when the namespace is reserved already: it is kept out; the holder's second path is not") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kExclusiveAccess).ok());
  SUBCASE("another host") {
    Sharer late(hosts.world, 0xc);
    CHECK(late.read() == kConflict);
    CHECK(late.write() == kConflict);
  }
  SUBCASE("the same host") {
    Sharer again(hosts.world, 0xa);
    CHECK(again.write() == 0);
    CHECK(again.release(kKeyA, kExclusiveAccess).ok());
    CHECK(hosts.b.write() == 0);
  }
}

TEST_CASE("holder loses its connection: the reservation stays its own, and waits for it") {
  TwoHosts hosts;
  hosts.both_register();
  {
    Sharer c(hosts.world, 0xc);
    REQUIRE(c.register_key(7).ok());
    REQUIRE(c.acquire(7, kWriteExclusive).ok());
  }
  CHECK(hosts.a.write() == kConflict);
  Sharer back(hosts.world, 0xc);
  CHECK(back.write() == 0);
}

TEST_CASE("host releases: the type must be right; who holds nothing releases nothing, without error") {
  for (const uint8_t rtype : kEveryType) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    hosts.both_register();
    CHECK(hosts.a.release(kKeyA, rtype).ok());
    REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
    CHECK(hosts.a.release(kKeyA, rtype % 6 + 1).status == NVME_SC_INVALID_FIELD);
    CHECK(hosts.a.controller().errors().entry(0).parm_error_location == 41);
    CHECK(hosts.b.release(kKeyB, rtype).ok());
    CHECK(hosts.rtype() == (all_hold(rtype) ? 0 : rtype));
    CHECK(hosts.a.release(kKeyA, rtype).ok());
    CHECK(hosts.rtype() == 0);
    CHECK(hosts.registered() == 2);
    CHECK(hosts.generation() == 2);
  }
}

TEST_CASE("holder unregisters: the reservation ends; where all hold it, only with the last") {
  for (const uint8_t rtype : kEveryType) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    hosts.both_register();
    REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
    CHECK(hosts.a.unregister_key(kKeyA).ok());
    CHECK(hosts.rtype() == (all_hold(rtype) ? rtype : 0));
    CHECK(hosts.a.write() == (all_hold(rtype) ? kConflict : 0));
    CHECK(hosts.b.unregister_key(kKeyB).ok());
    CHECK(hosts.rtype() == 0);
    CHECK(hosts.a.write() == 0);
  }
}

TEST_CASE("registrant that holds nothing unregisters: the reservation stays and keeps it out") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kExclusiveAccessRegistrants).ok());
  CHECK(hosts.b.read() == 0);
  REQUIRE(hosts.b.unregister_key(kKeyB).ok());
  CHECK(hosts.b.read() == kConflict);
}

TEST_CASE("host clears: nothing is reserved, nobody is registered") {
  for (const uint8_t rtype : kEveryType) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    hosts.both_register();
    REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
    CHECK(hosts.b.clear(kKeyB).ok());
    CHECK(hosts.rtype() == 0);
    CHECK(hosts.registered() == 0);
    CHECK(hosts.generation() == 3);
    CHECK(hosts.b.write() == 0);
  }
}

TEST_CASE("host preempts the holder: it holds now, with its own type, and the former is not even registered") {
  for (const uint32_t action : {1u, 2u}) {
    for (const uint8_t rtype :
         {kWriteExclusive, kExclusiveAccess, kWriteExclusiveRegistrants, kExclusiveAccessRegistrants}) {
      CAPTURE(int{rtype});
      TwoHosts hosts;
      hosts.both_register();
      REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
      CHECK(hosts.b.preempt(kKeyB, kKeyA, kExclusiveAccess, action).ok());
      CHECK(hosts.rtype() == kExclusiveAccess);
      CHECK(hosts.registered() == 1);
      CHECK(registered_controller(hosts.a.report(), 0).rkey == kKeyB);
      CHECK(hosts.a.read() == kConflict);
      CHECK(hosts.b.write() == 0);
      CHECK(hosts.generation() == 3);
    }
  }
}

TEST_CASE("host preempts a registrant that holds nothing: the reservation is as before") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kWriteExclusiveRegistrants).ok());
  CHECK(hosts.b.write() == 0);
  CHECK(hosts.a.preempt(kKeyA, kKeyB, kExclusiveAccess).ok());
  CHECK(hosts.rtype() == kWriteExclusiveRegistrants);
  CHECK(hosts.registered() == 1);
  CHECK(hosts.b.write() == kConflict);
  CHECK(hosts.b.read() == 0);
}

TEST_CASE("holder preempts itself: it stays registered and holds with the new type") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kWriteExclusive).ok());
  CHECK(hosts.a.preempt(kKeyA, kKeyA, kExclusiveAccessAll).ok());
  CHECK(hosts.rtype() == kExclusiveAccessAll);
  CHECK(hosts.registered() == 2);
  CHECK(hosts.b.read() == 0);
}

TEST_CASE("host preempts a key that nobody has: Reservation Conflict; key 0 where one holds: Invalid Field") {
  TwoHosts hosts;
  hosts.both_register();
  CHECK(hosts.a.preempt(kKeyA, 0x77, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.preempt(kKeyA, 0, kWriteExclusive).status == kConflict);
  REQUIRE(hosts.b.acquire(kKeyB, kWriteExclusive).ok());
  CHECK(hosts.a.preempt(kKeyA, 0x77, kWriteExclusive).status == kConflict);
  CHECK(hosts.a.preempt(kKeyA, 0, kWriteExclusive).status == NVME_SC_INVALID_FIELD);
  CHECK(hosts.registered() == 2);
  CHECK(hosts.generation() == 2);
}

TEST_CASE("host registers with key 0: Invalid Field, for such a host could not be preempted") {
  TwoHosts hosts;
  CHECK(hosts.a.register_key(0).status == NVME_SC_INVALID_FIELD);
  CHECK(hosts.a.register_key(0, 0, true).status == NVME_SC_INVALID_FIELD);
  CHECK(hosts.registered() == 0);
  hosts.both_register();
  CHECK(hosts.a.register_key(0).status == NVME_SC_INVALID_FIELD);
  CHECK(registered_controller(hosts.a.report(), 0).rkey == kKeyA);
}

TEST_CASE("host replaces its key with 0, as Linux's block API unregisters: registered no more, its reservation ends") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kWriteExclusive).ok());
  CHECK(hosts.a.replace_key(0x77, 0).status == kConflict);
  CHECK(hosts.registered() == 2);
  SUBCASE("by its key") { CHECK(hosts.a.replace_key(kKeyA, 0).ok()); }
  SUBCASE("with IEKEY") { CHECK(hosts.a.replace_key(0x77, 0, true).ok()); }
  CHECK(hosts.registered() == 1);
  CHECK(hosts.rtype() == 0);
  CHECK(hosts.b.write() == 0);
  CHECK(hosts.a.replace_key(kKeyA, 0).status == kConflict);
}

TEST_CASE("host preempts where nothing is reserved: who has the key is unregistered, nothing is reserved") {
  TwoHosts hosts;
  hosts.both_register();
  CHECK(hosts.a.preempt(kKeyA, kKeyB, kWriteExclusive).ok());
  CHECK(hosts.rtype() == 0);
  CHECK(hosts.registered() == 1);
}

TEST_CASE("host preempts what all registrants hold") {
  for (const uint8_t rtype : {kWriteExclusiveAll, kExclusiveAccessAll}) {
    CAPTURE(int{rtype});
    TwoHosts hosts;
    hosts.both_register();
    REQUIRE(hosts.a.acquire(kKeyA, rtype).ok());
    SUBCASE("with key 0: all others go, and it holds alone") {
      CHECK(hosts.b.preempt(kKeyB, 0, kWriteExclusive).ok());
      CHECK(hosts.rtype() == kWriteExclusive);
      CHECK(hosts.registered() == 1);
      CHECK(hosts.a.write() == kConflict);
    }
    SUBCASE("with another's key: that one goes, the reservation stays") {
      CHECK(hosts.b.preempt(kKeyB, kKeyA, kWriteExclusive).ok());
      CHECK(hosts.rtype() == rtype);
      CHECK(hosts.registered() == 1);
      CHECK(hosts.a.write() == kConflict);
    }
    SUBCASE("with a key that nobody has: Reservation Conflict") {
      CHECK(hosts.b.preempt(kKeyB, 0x77, kWriteExclusive).status == kConflict);
    }
    SUBCASE("with the key that all have: nobody is registered, nothing is reserved") {
      REQUIRE(hosts.a.replace_key(kKeyA, kKeyB).ok());
      CHECK(hosts.b.preempt(kKeyB, kKeyB, kWriteExclusive).ok());
      CHECK(hosts.registered() == 0);
      CHECK(hosts.rtype() == 0);
      CHECK(hosts.a.write() == 0);
    }
  }
}

TEST_CASE("host is preempted while its write is with the disk: that write finishes, the next is refused") {
  TwoHosts hosts;
  hosts.both_register();
  REQUIRE(hosts.a.acquire(kKeyA, kWriteExclusive).ok());
  hosts.world.disk_1.hold = true;
  const size_t write = hosts.a.io(1).post(command(nvme_cmd_write, 1), Bytes(512));
  CHECK(hosts.b.preempt(kKeyB, kKeyA, kWriteExclusive).ok());
  CHECK_FALSE(hosts.a.io(1).answered(write));
  CHECK(hosts.a.write() == kConflict);
  hosts.world.disk_1.complete_all();
  CHECK(hosts.a.io(1).take(write).ok());
}

TEST_CASE("host sends what no reservation command means: Invalid Field, at the field") {
  const struct {
    uint8_t opcode;
    uint32_t cdw10;
    int location;
  } rows[] = {
      {nvme_cmd_resv_register, 3, 40},
      {nvme_cmd_resv_register, 7, 40},
      {nvme_cmd_resv_register, 1u << 30, 43 | 6 << 8},  // CPTPL 01b
      {nvme_cmd_resv_register, 3u << 30, 43 | 6 << 8},  // persistence, for which this target has no directory
      {nvme_cmd_resv_acquire, 1 << 8 | 3, 40},
      {nvme_cmd_resv_acquire, 1 << 8 | 1 << 3, 40 | 3 << 8},  // IEKEY
      {nvme_cmd_resv_acquire, 0, 41},
      {nvme_cmd_resv_acquire, 7 << 8, 41},
      {nvme_cmd_resv_acquire, 255 << 8, 41},
      {nvme_cmd_resv_release, 2, 40},
      {nvme_cmd_resv_release, 1 << 8 | 1 << 3, 40 | 3 << 8},
  };
  TwoHosts hosts;
  for (const auto& row : rows) {
    CAPTURE(int{row.opcode});
    CAPTURE(row.cdw10);
    const Answer answer = hosts.a.reserve(row.opcode, row.cdw10, 0, 0);
    CHECK(answer.status == NVME_SC_INVALID_FIELD);
    CHECK(answer.do_not_retry);
    CHECK(hosts.a.controller().errors().entry(0).parm_error_location == row.location);
  }
  CHECK(hosts.registered() == 0);
}

TEST_CASE("host names a namespace that is not there, or all of them: Invalid Namespace or Format") {
  TwoHosts hosts;
  for (const uint32_t nsid : {0u, 2u, 1024u, 1025u, uint32_t{NVME_NSID_ALL}}) {
    CAPTURE(nsid);
    CHECK(hosts.a.reserve(nvme_cmd_resv_register, 0, 0, kKeyA, nsid).status == NVME_SC_INVALID_NS);
    CHECK(hosts.a.reserve(nvme_cmd_resv_acquire, 1 << 8, 0, 0, nsid).status == NVME_SC_INVALID_NS);
    CHECK(hosts.a.reserve(nvme_cmd_resv_release, 1 << 8, 0, 0, nsid).status == NVME_SC_INVALID_NS);
    CHECK(hosts.a.report(4096, 1, nsid).status == NVME_SC_INVALID_NS);
  }
  CHECK(hosts.a.controller().errors().entry(0).parm_error_location == 4);
}

TEST_CASE("host that a namespace is hidden from sends reservation commands: Invalid Namespace or Format") {
  TwoHosts hosts;
  hosts.a.controller().deny(1, core::kHidden);
  CHECK(hosts.a.register_key(kKeyA).status == NVME_SC_INVALID_NS);
  CHECK(hosts.a.report().status == NVME_SC_INVALID_NS);
  hosts.a.controller().permit(1, core::kHidden);
  hosts.a.controller().deny(1, core::kAnaInaccessible);
  CHECK(hosts.a.register_key(kKeyA).status == code(core::path_error(NVME_SC_ANA_INACCESSIBLE)));
}

TEST_CASE("host sends less data than the command takes: Data SGL Length Invalid") {
  TwoHosts hosts;
  CHECK(hosts.a.io(1).send(command(nvme_cmd_resv_register, 1), Bytes(8)).status == NVME_SC_SGL_INVALID_DATA);
  CHECK(hosts.a.io(1).send(command(nvme_cmd_resv_acquire, 1, 1 << 8), Bytes(8)).status == NVME_SC_SGL_INVALID_DATA);
  CHECK(hosts.a.io(1).send(command(nvme_cmd_resv_release, 1), Bytes(4)).status == NVME_SC_SGL_INVALID_DATA);
}

TEST_CASE("a reservation command travels to the control thread and back; its controller may be gone by then") {
  TwoHosts hosts;
  core::Mailbox control;
  core::Mailbox reactor;
  Wire& wire = hosts.a.io(1);
  wire.queue.control = &control;
  wire.queue.reactor = &reactor;
  const Bytes keys = to_bytes(std::pair{uint64_t{0}, kKeyA});
  const size_t first = wire.post(command(nvme_cmd_resv_register, 1), keys);
  CHECK_FALSE(wire.answered(first));
  CHECK(control.receive() == 1);
  CHECK_FALSE(wire.answered(first));
  CHECK(reactor.receive() == 1);
  CHECK(wire.take(first).ok());

  const size_t late = wire.post(command(nvme_cmd_resv_register, 1), keys);
  hosts.a.admin.close();
  control.receive();
  reactor.receive();
  CHECK(wire.take(late).status == NVME_SC_ABORT_QUEUE);
  wire.queue.control = nullptr;
  wire.queue.reactor = nullptr;
}

TEST_CASE("two threads: a host writes while another reserves and releases: written or refused, and no race") {
  TwoHosts hosts;
  hosts.both_register();
  core::Mailbox reactor;
  hosts.b.io(1).queue.reactor = &reactor;
  std::atomic<bool> stop{false};
  unsigned otherwise = 0;
  std::thread thread([&] {
    while (!stop) {
      const int status = hosts.b.write();
      if (status != 0 && status != kConflict) ++otherwise;
    }
  });
  for (int i = 0; i < 300; ++i) {
    CHECK(hosts.a.acquire(kKeyA, kExclusiveAccess).ok());
    CHECK(hosts.a.release(kKeyA, kExclusiveAccess).ok());
  }
  stop = true;
  thread.join();
  CHECK(otherwise == 0);
  CHECK(hosts.b.write() == 0);
  hosts.b.io(1).queue.reactor = nullptr;
}

}  // namespace
}  // namespace nvmf::test
