// Abort of I/O commands: NVMe Base 2.0, section 5.1.
#include <doctest/doctest.h>

#include <thread>

#include "target/core/command/abort.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint64_t kAborted = 0;
constexpr uint64_t kNotAborted = 1;
constexpr uint8_t kFirst = 1;
constexpr uint8_t kSecond = 2;

Sqe abort_command(uint16_t sqid, uint16_t cid) { return command(nvme_admin_abort_cmd, 0, sqid | uint32_t{cid} << 16); }

Bytes block() { return Bytes(512); }

// A host with two I/O queues; the commands on the first have the identifiers 2, 3, ... (1 was Connect).
struct Aborting {
  World world;
  Host host{world};
  Aborting() { host.bring_up(2); }

  Wire& q() { return host.io(1); }
  Answer abort(uint16_t cid, uint16_t sqid = 1) { return host.admin.send(abort_command(sqid, cid)); }
  size_t read() { return q().post(command(nvme_cmd_read, 1), block()); }
  size_t write() { return q().post(command(nvme_cmd_write, 1), block()); }
  size_t half(uint8_t fuse) {
    Sqe sqe = command(fuse == kFirst ? nvme_cmd_compare : nvme_cmd_write, 1);
    sqe.flags = static_cast<uint8_t>(sqe.flags | fuse);
    return q().post(sqe, block());
  }
};

TEST_CASE("host reads the Abort Command Limit: four at once") {
  Aborting a;
  CHECK(a.host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().acl == 3);
}

TEST_CASE("host aborts a command that waits for a buffer: Command Abort Requested, the others run") {
  Aborting a;
  a.q().hold();
  const size_t first = a.read();
  const size_t second = a.write();
  const size_t third = a.read();
  const Answer answer = a.abort(3);
  CHECK(answer.ok());
  CHECK(answer.result == kAborted);
  CHECK(a.q().take(second).status == NVME_SC_ABORT_REQ);
  CHECK(a.q().take(second).cid == 3);
  CHECK_FALSE(a.q().take(second).do_not_retry);
  CHECK(a.abort(3).result == kNotAborted);
  a.q().release();
  CHECK(a.q().take(first).ok());
  CHECK(a.q().take(third).ok());
  CHECK(a.world.disk_1.seen.size() == 2);
}

TEST_CASE("host aborts what the disk has: not aborted, and it ends with its own status") {
  Aborting a;
  a.world.disk_1.hold = true;
  const size_t read = a.read();
  CHECK(a.abort(2).result == kNotAborted);
  CHECK_FALSE(a.q().answered(read));
  a.world.disk_1.complete_all();
  CHECK(a.q().take(read).ok());
}

TEST_CASE("host aborts with another queue's or no queue's identifier: not aborted") {
  Aborting a;
  a.q().hold();
  const size_t read = a.read();
  for (const uint16_t sqid : {uint16_t{2}, uint16_t{3}, uint16_t{5}, uint16_t{0xffff}})
    CHECK(a.abort(2, sqid).result == kNotAborted);
  CHECK(a.abort(99).result == kNotAborted);
  CHECK_FALSE(a.q().answered(read));
  a.q().release();
}

TEST_CASE("host aborts writes that a fused pair keeps out: the gate forgets them, the others are written") {
  Aborting a;
  a.world.disk_1.hold = true;
  const size_t compare = a.half(kFirst);
  const size_t swap = a.half(kSecond);
  const size_t writes[] = {a.write(), a.write(), a.write()};
  uint16_t aborted = 0;
  SUBCASE("the first") { aborted = 0; }
  SUBCASE("one in the middle") { aborted = 1; }
  SUBCASE("the last") { aborted = 2; }
  CHECK(a.abort(static_cast<uint16_t>(4 + aborted)).result == kAborted);
  CHECK(a.q().take(writes[aborted]).status == NVME_SC_ABORT_REQ);
  while (!a.q().answered(swap)) a.world.disk_1.complete_all();
  CHECK(a.q().take(compare).ok());
  const size_t late = a.write();
  a.world.disk_1.complete_all();
  for (const size_t write : writes)
    if (write != writes[aborted]) CHECK(a.q().take(write).ok());
  CHECK(a.q().take(late).ok());
}

TEST_CASE("host aborts the first half of a fused pair that has not come whole: its second fails") {
  Aborting a;
  const size_t first = a.half(kFirst);
  CHECK(a.abort(2).result == kAborted);
  CHECK(a.q().take(first).status == NVME_SC_ABORT_REQ);
  CHECK(a.q().take(a.half(kSecond)).status == NVME_SC_FUSED_FAIL);
  CHECK(a.world.disk_1.seen.empty());
}

TEST_CASE("host aborts half of a pair whose other half waits for a buffer: both are completed") {
  Aborting a;
  const size_t first = a.half(kFirst);
  a.q().hold();
  const size_t second = a.half(kSecond);
  uint16_t cid = 0;
  SUBCASE("the one that has its data") { cid = 2; }
  SUBCASE("the one that waits") { cid = 3; }
  CHECK(a.abort(cid).result == kAborted);
  a.q().release();
  CHECK(a.q().take(first).status == (cid == 2 ? NVME_SC_ABORT_REQ : NVME_SC_FUSED_FAIL));
  CHECK(a.q().take(second).status == (cid == 3 ? NVME_SC_ABORT_REQ : NVME_SC_FUSED_FAIL));
  CHECK(a.world.disk_1.seen.empty());
}

TEST_CASE("host aborts half of a pair that waits for its turn: both are completed at once, and it does not run") {
  Aborting a;
  a.world.disk_1.hold = true;
  const size_t before = a.write();
  const size_t first = a.half(kFirst);
  const size_t second = a.half(kSecond);
  uint16_t cid = 0;
  SUBCASE("the Compare") { cid = 3; }
  SUBCASE("the Write") { cid = 4; }
  CHECK(a.abort(cid).result == kAborted);
  CHECK(a.q().take(first).status == (cid == 3 ? NVME_SC_ABORT_REQ : NVME_SC_FUSED_FAIL));
  CHECK(a.q().take(second).status == (cid == 4 ? NVME_SC_ABORT_REQ : NVME_SC_FUSED_FAIL));
  CHECK_FALSE(a.q().answered(before));
  a.world.disk_1.complete_all();
  CHECK(a.q().take(before).ok());
  CHECK(a.world.disk_1.seen.size() == 1);
  const size_t after = a.write();
  a.world.disk_1.complete_all();
  CHECK(a.q().take(after).ok());
}

TEST_CASE("host aborts half of a pair that runs: not aborted, the pair succeeds") {
  Aborting a;
  a.world.disk_1.hold = true;
  const size_t first = a.half(kFirst);
  const size_t second = a.half(kSecond);
  CHECK(a.abort(3).result == kNotAborted);
  a.world.disk_1.complete_all();
  a.world.disk_1.complete_all();
  CHECK(a.q().take(first).ok());
  CHECK(a.q().take(second).ok());
}

// The first I/O queue as on a reactor: the control thread's questions wait in a mailbox.
struct AbortingOnReactor : Aborting {
  core::Mailbox control;
  core::Mailbox reactor;
  AbortingOnReactor() {
    q().queue.control = &control;
    q().queue.reactor = &reactor;
  }
  size_t post_abort(uint16_t cid) { return host.admin.post(abort_command(1, cid)); }
  void deliver() {
    reactor.receive();
    control.receive();
  }
};

TEST_CASE("host aborts five commands at once: the fifth exceeds the limit") {
  AbortingOnReactor a;
  a.q().hold();
  for (int i = 0; i < 5; ++i) a.read();
  size_t aborts[4];
  for (uint16_t i = 0; i < 4; ++i) aborts[i] = a.post_abort(static_cast<uint16_t>(2 + i));
  CHECK(a.abort(6).status == specific(NVME_SC_ABORT_LIMIT));
  CHECK_FALSE(a.host.admin.answered(aborts[0]));
  a.deliver();
  for (const size_t abort : aborts) CHECK(a.host.admin.take(abort).result == kAborted);
  const size_t again = a.post_abort(6);
  a.deliver();
  CHECK(a.host.admin.take(again).ok());
  CHECK(a.host.admin.take(again).result == kAborted);
}

TEST_CASE("what is on its way from the host when it is aborted ends with the status of what aborts it") {
  for (const core::Status status : {core::kAbortRequested, core::kPreempted}) {
    Aborting a;
    const Sqe sqe = command(nvme_cmd_write, 1);
    core::Request request;
    request.queue = &a.q().queue;
    request.sqe = &sqe;
    request.respond = [](core::Request&) {};
    core::abort_instead(status)(request);
    CHECK(code(Status(request.cqe.status >> 1)) == code(status));
  }
}

TEST_CASE("a command ends while its Abort is on its way: answered once, not aborted") {
  AbortingOnReactor a;
  a.q().hold();
  const size_t read = a.read();
  const size_t abort = a.post_abort(2);
  a.q().release();
  CHECK(a.q().take(read).ok());
  a.deliver();
  CHECK(a.host.admin.take(abort).result == kNotAborted);
  CHECK(a.q().take(read).ok());
}

TEST_CASE("other admin commands do not wait for a queue that does not say whether it aborted") {
  AbortingOnReactor a;
  const size_t abort = a.post_abort(2);
  CHECK(a.host.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK_FALSE(a.host.admin.answered(abort));
  a.deliver();
  CHECK(a.host.admin.take(abort).result == kNotAborted);
}

TEST_CASE("the controller goes while an Abort is on its way: it is answered all the same") {
  AbortingOnReactor a;
  const size_t abort = a.post_abort(2);
  a.world.target.queue_closed(a.host.admin.queue);
  a.deliver();
  CHECK(a.host.admin.take(abort).result == kNotAborted);
}

TEST_CASE("two threads: aborts do not race with the commands that they look for") {
  AbortingOnReactor a;
  std::atomic<bool> stop{false};
  std::atomic<int> aborts{0};
  // Reads come as fast as aborts do: some wait when they are looked for, some are gone, some are not there yet.
  std::thread reactor([&] {
    for (int reads = 0; !stop;) {
      a.q().hold();
      for (; reads < aborts + 2; ++reads) a.read();
      a.reactor.receive();
      a.q().release();
      std::this_thread::yield();
    }
    a.reactor.receive();
  });
  for (uint16_t cid = 2; cid < 400; ++cid) {
    const size_t abort = a.post_abort(cid);
    for (; !a.host.admin.answered(abort); std::this_thread::yield()) a.control.receive();
    ++aborts;
  }
  stop = true;
  reactor.join();
  a.control.receive();
}

}  // namespace
}  // namespace nvmf::test
