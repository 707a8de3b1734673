// Cross-Controller Reset: NVMe Base 2.3, sections 5.4.3 and 5.2.12.3.1. A host that has lost one of its two controllers
// ends it by the other.
#include <doctest/doctest.h>

#include <cstring>

#include "target/nvme/cross_controller_reset.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::ControllerInstance;
using LogEntry = nvme::CrossControllerResetLogEntry;
using LogHeader = nvme::CrossControllerResetLogHeader;
using Progress = nvme::CrossControllerResetStatus;

constexpr uint32_t kEvent = NVME_AER_NOTICE | uint32_t{nvme::kNoticeCrossControllerResetCompleted} << 8 | 0x1eu << 16;

ControllerInstance instance_of(Host& host) {
  const Bytes id = host.identify(NVME_IDENTIFY_CNS_CTRL).data;
  ControllerInstance instance;
  std::memcpy(&instance.uniquifier, id.data() + 135, 1);
  std::memcpy(&instance.random_number, id.data() + 136, 8);
  return instance;
}

uint16_t quiesce_ms(Host& host) {
  uint16_t cqt = 0;
  std::memcpy(&cqt, host.identify(NVME_IDENTIFY_CNS_CTRL).data.data() + 386, 2);
  return cqt;
}

constexpr uint32_t kKatoMs = 1000;

Answer reset(Host& by, uint16_t cntlid, const ControllerInstance& instance) {
  Sqe sqe = command(0x38, 0, cntlid | uint32_t{instance.uniquifier} << 16);
  sqe.cdw12 = static_cast<uint32_t>(instance.random_number);
  sqe.cdw13 = static_cast<uint32_t>(instance.random_number >> 32);
  return by.admin.send(sqe);
}

// One host with two controllers: a write of the first, which is lost, sits at the disk.
struct TwoPaths {
  World world;
  Host lost{world};
  Host alive{world, World::kHostNqn, 2};
  ControllerInstance instance;
  size_t write = 0;
  size_t event = 0;

  TwoPaths() {
    lost.bring_up(2, World::kNqn, kKatoMs);
    alive.bring_up(1);
    alive.set_feature(NVME_FEAT_FID_ASYNC_EVENT, nvme::kCrossControllerResetNotices);
    instance = instance_of(lost);
    event = alive.await_event();
    world.disk_1.hold = true;
    write = lost.io(1).post(command(nvme_cmd_write, 1), Bytes(512));
  }
  ~TwoPaths() { world.disk_1.complete_all(); }
  Answer ask() { return reset(alive, lost.cntlid, instance); }
  std::vector<LogEntry> log(uint8_t lsp = 0, uint32_t bytes = 4096, uint64_t offset = 0) {
    Sqe sqe = get_log_page(nvme::kLogCrossControllerReset, bytes, offset);
    sqe.cdw10 |= uint32_t{lsp} << 8;
    const Answer answer = alive.admin.send(sqe, Bytes(bytes));
    REQUIRE(answer.ok());
    std::vector<LogEntry> entries;
    if (offset != 0) return entries;
    for (uint16_t i = 0; i < answer.as<LogHeader>().entries && 16u + 8u * i <= bytes; ++i)
      entries.push_back(answer.as<LogEntry>(8 + 8 * i));
    return entries;
  }
};

TEST_CASE("host asks for the end of a lost controller: it is told when the write at the disk has ended") {
  TwoPaths w;
  const Answer answer = w.ask();
  CHECK(answer.ok());
  CHECK(answer.result == 0);
  CHECK_FALSE(w.alive.admin.answered(w.event));
  CHECK_FALSE(w.lost.admin.disconnected());
  CHECK(w.lost.io(2).drops(command(nvme_cmd_write, 1), Bytes(512)));
  REQUIRE(w.log().size() == 1);
  CHECK(w.log()[0].impacted == w.lost.cntlid);
  CHECK(w.log()[0].uniquifier == w.instance.uniquifier);
  CHECK(w.log()[0].alternate == w.alive.cntlid);
  CHECK(w.log()[0].status == Progress::InProgress);
  CHECK(w.log()[0].flags == 3);

  w.world.disk_1.complete_all();
  CHECK(w.lost.io(1).take(w.write).ok());
  CHECK(w.alive.admin.take(w.event).result == kEvent);
  CHECK(w.log()[0].status == Progress::Successful);
  CHECK(w.lost.admin.disconnected());
  CHECK(w.lost.io(1).disconnected());
  CHECK_FALSE(w.alive.admin.disconnected());
  CHECK_FALSE(w.alive.io(1).disconnected());
  CHECK(w.ask().result == (nvme::kImmediateResetSuccessful | nvme::kImmediateResetValidated));
}

TEST_CASE("commands that wait for anything but their disk never reach it after the reset") {
  TwoPaths w;
  w.lost.io(2).hold();
  const size_t waiting = w.lost.io(2).post(command(nvme_cmd_write, 1), Bytes(512));
  w.ask();
  w.world.disk_1.complete_all();
  CHECK(w.alive.admin.answered(w.event));
  w.lost.io(2).release();
  CHECK(w.lost.io(2).dropped(waiting));
  CHECK(w.world.disk_1.seen.size() == 1);
}

TEST_CASE("nothing of the lost controller is at a disk, or it is gone already: an immediate success, and no event") {
  TwoPaths w;
  w.world.disk_1.complete_all();
  uint32_t result = 0;  // IRS, V, CLRI
  SUBCASE("nothing is at a disk") { result = 0b111; }
  SUBCASE("it was ended otherwise, and its connections are still closing") {
    w.lost.controller().fail("the operator disconnects it");
    result = 0b011;
  }
  SUBCASE("it is gone") {
    for (Wire* wire : {&w.lost.io(1), &w.lost.io(2), &w.lost.admin}) wire->close();
    result = 0b001;
  }
  const Answer answer = w.ask();
  CHECK(answer.ok());
  CHECK(answer.result == result);
  CHECK(w.log().empty());
  CHECK_FALSE(w.alive.admin.answered(w.event));
}

TEST_CASE("it is being ended already, by its keep-alive timer or another way: the host hears when that is over") {
  TwoPaths w;
  SUBCASE("the operator disconnects it") { w.lost.controller().fail("the operator disconnects it"); }
  SUBCASE("its admin queue has closed") { w.lost.admin.close(); }
  SUBCASE("its keep-alive timer has expired") {
    auto deadline = w.world.target.expire(core::Target::Clock::now());
    deadline = w.world.target.expire(deadline.value());  // there was traffic before
    w.world.target.expire(deadline.value());
    REQUIRE(w.lost.controller().is_closing());
  }
  CHECK(w.ask().result == 0);
  REQUIRE(w.log().size() == 1);
  CHECK(w.log()[0].status == Progress::InProgress);
  CHECK(w.log()[0].flags == nvme::kResetValidated);
  w.world.disk_1.complete_all();
  CHECK(w.alive.admin.take(w.event).result == kEvent);
  CHECK(w.log()[0].status == Progress::Successful);
  CHECK(w.log()[0].flags == nvme::kResetValidated);
}

TEST_CASE("it is being ended already, and its last command ends with the request: it was not this reset that began") {
  TwoPaths w;
  w.world.disk_1.complete_all();
  w.lost.controller().fail_after_answer(w.lost.admin.queue, "the host has not authenticated");
  const Answer answer = w.ask();
  CHECK(answer.result == (nvme::kImmediateResetSuccessful | nvme::kImmediateResetValidated));
}

TEST_CASE("a controller in a later life, or of another host, is not touched: the one that was named is gone") {
  TwoPaths w;
  uint16_t cntlid = w.lost.cntlid;
  ControllerInstance named = w.instance;
  Host stranger(w.world, "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555");
  stranger.hostid = {0x43};
  stranger.bring_up(1);
  SUBCASE("another CIU") { ++named.uniquifier; }
  SUBCASE("another CIRN") { named.random_number ^= 1; }
  SUBCASE("an identifier that nobody has") { cntlid = 0x7777; }
  SUBCASE("another host's") {
    cntlid = stranger.cntlid;
    named = instance_of(stranger);
  }
  const Answer answer = reset(w.alive, cntlid, named);
  CHECK(answer.ok());
  CHECK(answer.result == nvme::kImmediateResetSuccessful);
  CHECK(w.log().empty());
  CHECK(w.lost.io(2).send(command(nvme_cmd_flush, 3)).ok());
  CHECK(stranger.io(1).send(command(nvme_cmd_flush, 3)).ok());
}

// Targets with the default range of controller identifiers may use the same ones.
TEST_CASE("host asks a target about a controller of another target, or of its former process: Invalid Field") {
  TwoPaths w;
  World other;
  Host elsewhere(other);
  elsewhere.bring_up(1);
  uint16_t cntlid = 0;
  SUBCASE("by an identifier that nobody has here") { cntlid = 0x7777; }
  SUBCASE("by one that a controller of the same host has here") { cntlid = w.lost.cntlid; }
  const Answer answer = reset(w.alive, cntlid, instance_of(elsewhere));
  CHECK(answer.status == NVME_SC_INVALID_FIELD);
  CHECK(answer.do_not_retry);
  CHECK(w.log().empty());
  CHECK(w.lost.io(2).send(command(nvme_cmd_flush, 3)).ok());
}

TEST_CASE("CIU and CIRN are new each time that the controller is enabled, and CIU is never 0") {
  World world;
  Host host(world);
  host.bring_up();
  ControllerInstance before = instance_of(host);
  for (int i = 0; i < 300; ++i) {
    REQUIRE(host.enable(0).ok());
    REQUIRE(host.enable().ok());
    const ControllerInstance now = instance_of(host);
    CHECK(now.uniquifier != 0);
    CHECK(now.uniquifier != before.uniquifier);
    CHECK(now.random_number != before.random_number);
    before = now;
  }
}

TEST_CASE("Identify Controller announces the limit of resets, the event, and the Command Quiesce Time") {
  World world;
  Host host(world);
  host.bring_up();
  const Bytes id = host.identify(NVME_IDENTIFY_CNS_CTRL).data;
  CHECK(quiesce_ms(host) == 30'000);
  CHECK(std::to_integer<int>(id[1807]) == 4);
  nvme_id_ctrl structure;
  std::memcpy(&structure, id.data(), sizeof(structure));
  CHECK((structure.oaes & 1u << 20) != 0);
}

TEST_CASE("Command Quiesce Time is what the slowest disk promises, from 30 s to 65.535 s") {
  World world;
  core::NamespaceOptions slow{.nsid = 2, .block_count = 8};
  uint16_t expected = 0;
  SUBCASE("less than the target itself waits") {
    slow.quiesce_ms = 5000;
    expected = 30'000;
  }
  SUBCASE("an SSD with the kernel's time-outs") { slow.quiesce_ms = expected = 65'000; }
  SUBCASE("longer than the field has room for") {
    slow.quiesce_ms = 190'000;
    expected = 65'535;
  }
  SUBCASE("no promise") { expected = 65'535; }
  world.subsystem.add_namespace(slow);
  Host host(world);
  host.bring_up();
  CHECK(quiesce_ms(host) == expected);
}

TEST_CASE("a slower disk comes: hosts that have read Command Quiesce Time go on reading what it was, until a reset") {
  World world;
  Host host(world);
  host.bring_up();
  world.subsystem.add_namespace({.nsid = 2, .block_count = 8, .quiesce_ms = 65'000});
  CHECK(quiesce_ms(host) == 30'000);
  REQUIRE(host.enable(0).ok());
  REQUIRE(host.enable().ok());
  CHECK(quiesce_ms(host) == 65'000);
  world.subsystem.remove_namespace(2);
  CHECK(quiesce_ms(host) == 65'000);
}

TEST_CASE("a controller does not reset itself: Invalid Field") {
  World world;
  Host host(world);
  host.bring_up(1);
  const Answer answer = reset(host, host.cntlid, instance_of(host));
  CHECK(answer.status == NVME_SC_INVALID_FIELD);
  CHECK(answer.do_not_retry);
  CHECK_FALSE(host.admin.disconnected());
}

TEST_CASE("the same reset again while it is in progress: Cross-Controller Reset in Progress") {
  TwoPaths w;
  w.ask();
  CHECK(w.ask().status == specific(0x3f));
  CHECK(w.log().size() == 1);
}

TEST_CASE("the host removes what has ended from the log, but only entries that it reads") {
  TwoPaths w;
  w.ask();
  CHECK(w.log(nvme::kRemoveCompleted).size() == 1);
  CHECK(w.log().size() == 1);
  w.world.disk_1.complete_all();
  CHECK(w.log(nvme::kRemoveCompleted, 8).empty());
  CHECK(w.log(nvme::kRemoveCompleted, 12).empty());
  w.log(nvme::kRemoveCompleted, 8, 12);
  w.log(nvme::kRemoveCompleted, 8, 16);
  CHECK(w.log().size() == 1);
  CHECK(w.log(nvme::kRemoveCompleted, 16).size() == 1);
  CHECK(w.log().empty());
}

TEST_CASE("a reset of the controller that was asked empties its log; the reset that it began goes on") {
  TwoPaths w;
  w.ask();
  w.alive.enable(0);
  w.alive.enable();
  CHECK(w.log().empty());
  CHECK_FALSE(w.lost.admin.disconnected());
  w.world.disk_1.complete_all();
  CHECK(w.lost.admin.disconnected());
  CHECK(w.log().empty());
}

TEST_CASE("the host has not enabled the event: none is reported, the log has the entry") {
  TwoPaths w;
  w.alive.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 0);
  w.ask();
  w.world.disk_1.complete_all();
  CHECK_FALSE(w.alive.admin.answered(w.event));
  CHECK(w.log()[0].status == Progress::Successful);
}

TEST_CASE("discovery controllers have no Cross-Controller Reset") {
  World world;
  Host host(world);
  host.bring_up(0, NVME_DISC_SUBSYS_NAME);
  CHECK(reset(host, 1, {}).status == NVME_SC_INVALID_OPCODE);
}

}  // namespace
}  // namespace nvmf::test
