// Preempt and Abort: NVMe Base 2.0, section 8.19.7. All commands of the preempted host on the namespace have ended when
// the command is answered.
#include <doctest/doctest.h>

#include "tests/protocol/reservation_hosts.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kPreemptAndAbort = 2;

// Alice holds namespace 1 for writing, Bob is registered; the disk answers when it is told to.
struct Preempting {
  World world;
  Sharer alice{world, 1};
  Sharer bob{world, 2};
  Preempting() {
    REQUIRE(alice.register_key(kKeyA).ok());
    REQUIRE(bob.register_key(kKeyB).ok());
    REQUIRE(alice.acquire(kKeyA, kWriteExclusive).ok());
    world.disk_1.hold = true;
  }
  size_t post_preempt(uint64_t key = kKeyA) {
    const uint32_t cdw10 = uint32_t{kWriteExclusive} << 8 | kPreemptAndAbort;
    return bob.io(1).post(command(nvme_cmd_resv_acquire, 1, cdw10), to_bytes(std::pair{kKeyB, key}));
  }
  size_t post_write(uint32_t nsid = 1) {
    return alice.io(1).post(command(nvme_cmd_write, nsid), Bytes(nsid == 1 ? 512 : 4096));
  }
  bool preempted(size_t number) { return bob.io(1).answered(number); }
};

TEST_CASE("the preempted host has a write on the disk: the answer waits for it") {
  Preempting p;
  const size_t write = p.post_write();
  const size_t preempt = p.post_preempt();
  CHECK_FALSE(p.preempted(preempt));
  CHECK_FALSE(p.alice.io(1).answered(write));
  CHECK(p.alice.write() == NVME_SC_RESERVATION_CONFLICT);
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).take(write).ok());
  CHECK(p.bob.io(1).take(preempt).ok());
}

TEST_CASE("the preempted host has commands that wait: aborted, and the answer does not wait") {
  Preempting p;
  p.alice.io(1).hold();
  const size_t write = p.post_write();
  const size_t elsewhere = p.post_write(3);
  const size_t preempt = p.post_preempt();
  CHECK(p.bob.io(1).take(preempt).ok());
  CHECK(p.alice.io(1).take(write).status == NVME_SC_CMD_ABORTED_PREMEPT);
  CHECK_FALSE(p.alice.io(1).answered(elsewhere));
  p.alice.io(1).release();
  CHECK(p.alice.io(1).take(elsewhere).ok());
}

TEST_CASE("another host's command waits meanwhile: it runs, whether the host is registered or not") {
  Preempting p;
  Sharer carol(p.world, 3);
  SUBCASE("it is registered") { REQUIRE(carol.register_key(0xca401).ok()); }
  SUBCASE("it is not") {}
  carol.io(1).hold();
  p.alice.io(1).hold();
  const size_t write = p.post_write();
  const size_t read = carol.io(1).post(command(nvme_cmd_read, 1), Bytes(512));
  CHECK(p.bob.io(1).take(p.post_preempt()).ok());
  CHECK(p.alice.io(1).take(write).status == NVME_SC_CMD_ABORTED_PREMEPT);
  REQUIRE_FALSE(carol.io(1).answered(read));
  carol.io(1).release();
  p.world.disk_1.complete_all();
  CHECK(carol.io(1).take(read).ok());
}

TEST_CASE("what the preempted host sends later is not waited for, nor what others have") {
  Preempting p;
  const size_t write = p.post_write();
  const size_t own = p.bob.io(1).post(command(nvme_cmd_read, 1), Bytes(512));
  const size_t preempt = p.post_preempt();
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).take(write).ok());
  CHECK(p.bob.io(1).take(own).ok());
  const size_t again = p.post_preempt(kKeyB);  // there is no other left to preempt
  CHECK(p.bob.io(1).take(preempt).ok());
  CHECK(p.preempted(again));
  const size_t read = p.alice.io(1).post(command(nvme_cmd_read, 1), Bytes(512));
  CHECK_FALSE(p.alice.io(1).answered(read));
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).take(read).ok());
}

TEST_CASE("a Preempt and Abort that is refused aborts nothing") {
  Preempting p;
  p.alice.io(1).hold();
  const size_t write = p.post_write();
  const Answer answer = p.bob.io(1).take(p.post_preempt(0xdead));
  CHECK(answer.status == NVME_SC_RESERVATION_CONFLICT);
  p.alice.io(1).release();
  CHECK_FALSE(p.alice.io(1).answered(write));
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).take(write).ok());
}

TEST_CASE("the preempted host's controller is being ended, its disk is still at work: the answer waits all the same") {
  Preempting p;
  const size_t write = p.post_write();
  SUBCASE("its admin queue has closed") { p.world.target.queue_closed(p.alice.admin.queue); }
  SUBCASE("it has reset the controller") { p.alice.enable(0); }
  SUBCASE("it disconnects the queue") { p.alice.io(1).post(disconnect_command()); }
  CHECK(p.alice.io(1).quiesced());
  const size_t preempt = p.post_preempt();
  CHECK_FALSE(p.preempted(preempt));
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).answered(write));
  CHECK(p.bob.io(1).take(preempt).ok());
}

TEST_CASE("two hosts are preempted, on two queues of one: the answer waits for the last") {
  Preempting p;
  Sharer carol(p.world, 3);
  REQUIRE(carol.connect_io(2).ok());
  REQUIRE(carol.register_key(kKeyA).ok());
  carol.io(2).post(command(nvme_cmd_read, 1), Bytes(512));
  const size_t preempt = p.post_preempt();
  CHECK_FALSE(p.preempted(preempt));
  p.world.disk_1.complete_all();
  CHECK(p.bob.io(1).take(preempt).ok());
}

TEST_CASE("the preempted host's queue is on a reactor: it is asked, and admin commands do not wait") {
  Preempting p;
  core::Mailbox control;
  core::Mailbox reactor;
  p.alice.io(1).queue.control = &control;
  p.alice.io(1).queue.reactor = &reactor;
  const size_t write = p.post_write();
  const size_t preempt = p.post_preempt();
  CHECK(reactor.receive() == 1);
  CHECK(control.receive() == 0);
  CHECK(p.bob.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK_FALSE(p.preempted(preempt));
  p.world.disk_1.complete_all();
  CHECK(p.alice.io(1).take(write).ok());
  CHECK_FALSE(p.preempted(preempt));
  CHECK(control.receive() == 1);
  CHECK(p.bob.io(1).take(preempt).ok());
}

}  // namespace
}  // namespace nvmf::test
