// The end of a controller while its disks are at work: reset, shutdown, Disconnect, keep-alive time-out, removal. NVMe
// Base 2.0, sections 3.1.3.5, 3.6, 3.7.2, 3.9 and 6.4. Nothing is told before the last command has ended.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = core::Target::Clock;

constexpr uint32_t kReady = 1u << NVME_CSTS_RDY_SHIFT;
constexpr uint32_t kFatal = 1u << NVME_CSTS_CFS_SHIFT;
constexpr uint32_t kShuttingDown = uint32_t{NVME_CSTS_SHST_OCCUR} << NVME_CSTS_SHST_SHIFT;
constexpr uint32_t kShutdownComplete = uint32_t{NVME_CSTS_SHST_CMPLT} << NVME_CSTS_SHST_SHIFT;
constexpr uint32_t kNormal = uint32_t{NVME_CC_SHN_NORMAL} << NVME_CC_SHN_SHIFT;
constexpr uint32_t kAbrupt = uint32_t{NVME_CC_SHN_ABRUPT} << NVME_CC_SHN_SHIFT;
constexpr seconds kBound{29};
constexpr char kReason[] = "the operator disconnects it";

// A host with two queues. The disk of namespace 1 sits on what it is given; one write of queue 1 is there.
struct AtWork {
  World world;
  Host host{world};
  Host again{world};  // the same host, connecting anew
  size_t write;
  size_t connect = 0;

  explicit AtWork(uint32_t kato_ms = 0) {
    host.bring_up(2, World::kNqn, kato_ms);
    world.disk_1.hold = true;
    write = host.io(1).post(command(nvme_cmd_write, 1), Bytes(512));
    REQUIRE_FALSE(host.io(1).answered(write));
  }
  ~AtWork() {
    world.disk_1.complete_all();
    world.target.expire(Clock::now());
  }
  core::Controller& controller() { return *world.subsystem.find_controller(host.cntlid); }
  bool any_connection_ended() {
    return host.admin.disconnected() || host.io(1).disconnected() || host.io(2).disconnected();
  }
  void connect_again(uint32_t kato_ms = 0) {
    const auto data = to_bytes(again.connect_data(World::kNqn));
    connect = again.admin.post(connect_command(0, kAdminSqsize, kato_ms), data);
  }
  void close_all() {
    for (Wire* wire : {&host.io(1), &host.io(2), &host.admin}) wire->close();
  }
};

TEST_CASE("host resets the controller: CSTS.RDY stays 1 until the write at the disk has ended") {
  AtWork w;
  CHECK(w.host.enable(0).ok());
  CHECK(w.host.csts() == kReady);
  CHECK_FALSE(w.any_connection_ended());
  CHECK(w.host.io(2).drops(command(nvme_cmd_read, 1), Bytes(512)));
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).status == NVME_SC_CMD_SEQ_ERROR);
  w.world.disk_1.complete_all();
  CHECK(w.host.io(1).take(w.write).ok());
  CHECK(w.host.csts() == 0);
  CHECK(w.host.io(1).disconnected());
  CHECK(w.host.io(2).disconnected());
  CHECK(w.host.enable().ok());
  CHECK(w.host.csts() == kReady);
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
}

TEST_CASE("commands that wait for anything but their disk are dropped by a reset, and never reach the disk") {
  AtWork w;
  w.host.io(2).hold();
  const size_t waiting = w.host.io(2).post(command(nvme_cmd_write, 1), Bytes(512));
  w.host.enable(0);
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == 0);
  CHECK(w.host.io(2).dropped(waiting));
  w.host.io(2).release();
  CHECK(w.world.disk_1.seen.size() == 1);
}

// A host of its own whose fused pair is at the disk: changes by others wait at the gate.
struct BehindAGate {
  World world;
  Host host{world};
  Host lost{world, "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555"};
  size_t first;
  size_t second;

  BehindAGate() {
    lost.hostid = {0x43};
    host.bring_up(1);
    lost.bring_up(2);
    world.disk_1.blocks = Bytes(World::kBlocks * 512);
    world.disk_1.hold = true;
    first = host.io(1).post(half(1, nvme_cmd_compare), Bytes(512));
    second = host.io(1).post(half(2, nvme_cmd_write), Bytes(512));
    REQUIRE(world.disk_1.seen.size() == 1);  // the Compare's read
  }
  static Sqe half(uint8_t fuse, uint8_t opcode) {
    Sqe sqe = command(opcode, 1);
    sqe.flags = static_cast<uint8_t>(sqe.flags | fuse);
    return sqe;
  }
  void complete_everything() {
    for (int i = 0; i < 8; ++i) world.disk_1.complete_all();
  }
};

TEST_CASE("changes that a fused pair keeps out are dropped by a reset, and never reach the disk") {
  BehindAGate w;
  std::vector<size_t> waiting;
  nvme_copy_range source{};
  source.slba = 100;
  waiting.push_back(w.lost.io(1).post(command(nvme_cmd_write, 1, 9), Bytes(512)));
  waiting.push_back(w.lost.io(1).post(command(nvme_cmd_write_zeroes, 1, 9)));
  waiting.push_back(w.lost.io(1).post(command(nvme_cmd_copy, 1, 300), to_bytes(source)));
  waiting.push_back(w.lost.io(1).post(command(nvme_cmd_dsm, 1, 0, NVME_DSMGMT_AD), to_bytes(nvme_dsm_range{0, 1, 50})));
  const size_t bystander = w.host.io(1).post(command(nvme_cmd_write, 1, 20), Bytes(512));
  REQUIRE(w.world.disk_1.seen.size() == 1);
  w.lost.enable(0);
  CHECK(w.lost.csts() == 0);  // while the pair is at the disk still
  for (const size_t number : waiting) CHECK(w.lost.io(1).dropped(number));
  w.complete_everything();
  CHECK(w.host.io(1).take(w.second).ok());
  CHECK(w.host.io(1).take(bystander).ok());
  CHECK(w.world.disk_1.seen.size() == 3);
}

TEST_CASE("a fused pair that waits for its turn is dropped by a reset, and the turn goes to the next one") {
  BehindAGate w;
  const size_t one = w.lost.io(1).post(BehindAGate::half(1, nvme_cmd_compare), Bytes(512));
  const size_t two = w.lost.io(1).post(BehindAGate::half(2, nvme_cmd_write), Bytes(512));
  w.lost.enable(0);
  CHECK(w.lost.csts() == 0);
  CHECK(w.lost.io(1).dropped(one));
  CHECK(w.lost.io(1).dropped(two));
  const size_t next_one = w.host.io(1).post(BehindAGate::half(1, nvme_cmd_compare), Bytes(512));
  const size_t next_two = w.host.io(1).post(BehindAGate::half(2, nvme_cmd_write), Bytes(512));
  w.complete_everything();
  CHECK(w.host.io(1).take(next_one).ok());
  CHECK(w.host.io(1).take(next_two).ok());
  CHECK(w.world.disk_1.seen.size() == 4);
}

TEST_CASE("a fused pair's Compare ends after the reset: its Write never reaches the disk, and the gate opens") {
  BehindAGate w;
  const size_t write = w.lost.io(1).post(command(nvme_cmd_write, 1, 9), Bytes(512));
  w.host.enable(0);
  CHECK(w.host.csts() == kReady);
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == 0);
  CHECK(w.host.io(1).take(w.first).status == NVME_SC_ABORT_QUEUE);
  CHECK(w.host.io(1).take(w.second).status == NVME_SC_FUSED_FAIL);
  w.complete_everything();
  CHECK(w.lost.io(1).take(write).ok());
  CHECK(w.world.disk_1.seen.size() == 2);
  CHECK(w.world.disk_1.seen.back().slba == 9);
}

TEST_CASE("a Flush of all namespaces goes no further after the reset") {
  AtWork w;
  w.world.disk_1.complete_all();
  const size_t flush = w.host.io(1).post(command(nvme_cmd_flush, NVME_NSID_ALL));
  w.host.enable(0);
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == 0);
  CHECK(w.host.io(1).take(flush).status == NVME_SC_ABORT_QUEUE);
  CHECK(w.world.disk_3.seen.empty());
}

TEST_CASE("host shuts the controller down: it is occurring until the write at the disk has ended") {
  AtWork w;
  CHECK(w.host.enable(kEnable | kAbrupt).ok());
  CHECK(w.host.csts() == (kReady | kShuttingDown));
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == (kReady | kShutdownComplete));
  CHECK(w.host.io(1).take(w.write).ok());
}

// Flushes as the daemon makes them.
struct Flushing : AtWork {
  std::vector<uint32_t> flushed;
  std::vector<std::function<void(Status)>> dones;
  void done(Status status) {
    for (const auto& one : std::exchange(dones, {})) one(status);
  }
  Flushing() {
    world.target.flush_namespace = [this](const core::Subsystem& subsystem, uint32_t nsid, auto when_done) {
      CHECK(&subsystem == &world.subsystem);
      flushed.push_back(nsid);
      dones.push_back(when_done);
    };
  }
  ~Flushing() { world.target.flush_namespace = nullptr; }
};

TEST_CASE("a normal shutdown flushes every namespace, after the last write and before it is complete") {
  Flushing w;
  w.host.enable(kEnable | kNormal);
  CHECK(w.flushed.empty());
  w.world.disk_1.complete_all();
  CHECK(w.flushed == std::vector<uint32_t>{1, 3});  // 3 had no write cache when hosts were last told
  CHECK(w.host.csts() == (kReady | kShuttingDown));
  SUBCASE("flushed") {
    w.done(core::kSuccess);
    CHECK(w.host.csts() == (kReady | kShutdownComplete));
  }
  SUBCASE("the cache cannot be flushed: fatal status") {
    w.done(NVME_SC_INTERNAL);
    CHECK(w.host.csts() == (kReady | kFatal));
    CHECK(w.world.events.back().find("could not be flushed") != std::string::npos);
  }
  SUBCASE("its host resets it meanwhile: not before the flush has ended") {
    w.host.enable(0);
    CHECK(w.host.csts() == kReady);
    w.done(core::kSuccess);
    CHECK(w.host.csts() == 0);
  }
  SUBCASE("its queues close meanwhile: the controller stays until the flush has ended") {
    w.close_all();
    CHECK_FALSE(w.world.subsystem.controllers().empty());
    w.done(core::kSuccess);
    w.world.target.expire(Clock::now());
    CHECK(w.world.subsystem.controllers().empty());
  }
}

TEST_CASE("an abrupt shutdown flushes nothing") {
  Flushing w;
  w.host.enable(kEnable | kAbrupt);
  w.world.disk_1.complete_all();
  CHECK(w.flushed.empty());
  CHECK(w.host.csts() == (kReady | kShutdownComplete));
}

TEST_CASE("host sends Disconnect: answered when the queue's write has ended, and the connection ends then") {
  AtWork w;
  const size_t elsewhere = w.host.io(2).post(command(nvme_cmd_write, 1), Bytes(512));
  const size_t disconnect = w.host.io(1).post(disconnect_command());
  CHECK_FALSE(w.host.io(1).answered(disconnect));
  CHECK_FALSE(w.host.io(1).disconnected());
  CHECK(w.host.io(1).drops(command(nvme_cmd_flush, 1)));
  w.world.disk_1.complete_all();
  CHECK(w.host.io(1).take(w.write).ok());
  CHECK(w.host.io(1).take(disconnect).ok());
  CHECK(w.host.io(1).disconnected());
  CHECK(w.host.io(2).take(elsewhere).ok());
  CHECK_FALSE(w.host.io(2).disconnected());
  CHECK(w.host.csts() == kReady);
}

TEST_CASE("host resets the controller while Disconnect waits: both wait for the write") {
  AtWork w;
  const size_t disconnect = w.host.io(1).post(disconnect_command());
  w.host.enable(0);
  CHECK(w.host.csts() == kReady);
  w.world.disk_1.complete_all();
  CHECK(w.host.io(1).take(disconnect).ok());
  CHECK(w.host.csts() == 0);
}

TEST_CASE("the keep-alive timer expires: no connection ends before the write has ended") {
  AtWork w(1000);
  w.host.admin.send(command(nvme_admin_keep_alive));
  w.host.io(1).queue.saw_command = false;
  w.world.target.expire(Clock::now() + seconds(5));
  CHECK(w.world.target.counters.keep_alive_expiries == 1);
  CHECK_FALSE(w.any_connection_ended());
  CHECK(w.host.csts() == (kReady | kFatal));
  CHECK(w.host.admin.drops(command(nvme_admin_keep_alive)));
  CHECK(w.host.io(2).drops(command(nvme_cmd_read, 1), Bytes(512)));
  w.world.disk_1.complete_all();
  CHECK(w.host.io(1).take(w.write).ok());
  CHECK(w.host.admin.disconnected());
  CHECK(w.host.io(1).disconnected());
  CHECK(w.host.io(2).disconnected());
}

TEST_CASE("the target ends an association: no connection ends before the write has ended, admin commands run") {
  AtWork w;
  SUBCASE("operator disconnects the host") { w.controller().fail(kReason); }
  SUBCASE("its port goes") { w.world.target.remove_port(1); }
  SUBCASE("its subsystem leaves the port") { w.world.subsystem.set_ports({2}); }
  SUBCASE("its host is not allowed any more") { w.world.subsystem.set_allowed_hosts(false, {}); }
  SUBCASE("all its subsystem's hosts are disconnected") { w.world.subsystem.disconnect_all(kReason); }
  SUBCASE("another host resets the subsystem") { w.world.subsystem.reset(w.controller()); }
  CHECK_FALSE(w.any_connection_ended());
  CHECK(w.host.io(2).drops(command(nvme_cmd_read, 1), Bytes(512)));
  CHECK(w.host.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK(w.host.csts() == kReady);
  const Answer refused = w.host.connect_io(3);
  CHECK_FALSE(refused.ok());
  const bool is_welcome = w.world.subsystem.allows(World::kHostNqn);
  CHECK(refused.do_not_retry != is_welcome);
  w.world.disk_1.complete_all();
  CHECK(w.host.io(1).take(w.write).ok());
  CHECK(w.host.admin.disconnected());
  CHECK(w.host.io(1).disconnected());
  CHECK(w.host.io(2).disconnected());
  CHECK(w.host.admin.drops(command(nvme_admin_keep_alive)));
  w.close_all();
}

TEST_CASE(
    "the disk does not end the write: fatal status when the announced time has passed, and nothing else is told") {
  AtWork w;
  const uint32_t before = w.host.csts();
  size_t disconnect = 0;
  SUBCASE("reset") { w.host.enable(0); }
  SUBCASE("shutdown") { w.host.enable(kEnable | kNormal); }
  SUBCASE("Disconnect") { disconnect = w.host.io(1).post(disconnect_command()); }
  SUBCASE("the operator disconnects the host") { w.controller().fail(kReason); }
  const auto deadline = w.world.target.expire(Clock::now());
  REQUIRE(deadline.has_value());
  CHECK(*deadline <= Clock::now() + kBound);
  CHECK((w.host.csts() & kFatal) == 0);
  w.world.target.expire(*deadline);
  CHECK(w.host.csts() == (before | kFatal));
  CHECK_FALSE(w.any_connection_ended());
  CHECK(w.world.events.back().find("fatal status") != std::string::npos);
  if (disconnect != 0) CHECK_FALSE(w.host.io(1).answered(disconnect));
}

TEST_CASE("a reset that was not in time: the host resets again when the disk has ended the write") {
  AtWork w;
  w.host.enable(0);
  w.world.target.expire(Clock::now() + kBound + seconds(1));
  w.host.enable();
  CHECK(w.host.csts() == (kReady | kFatal));  // the write is at the disk still
  w.host.enable(0);
  CHECK(w.host.csts() == kReady);
  CHECK(w.world.target.expire(Clock::now()).has_value());
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == 0);
  CHECK(w.host.enable().ok());
  CHECK(w.host.csts() == kReady);
}

TEST_CASE("a host connects anew while a write of its former controller is at the disk: Connect waits") {
  AtWork w;
  SUBCASE("its connections have ended") { w.host.admin.close(); }
  SUBCASE("the operator has disconnected it") { w.controller().fail(kReason); }
  w.connect_again();
  CHECK_FALSE(w.again.admin.answered(w.connect));
  CHECK(w.world.subsystem.find_controller(w.host.cntlid) != nullptr);
  w.world.target.expire(Clock::now());
  CHECK_FALSE(w.again.admin.answered(w.connect));

  w.world.disk_1.complete_all();
  w.world.target.expire(Clock::now());
  CHECK(w.again.admin.take(w.connect).ok());
  CHECK(w.again.admin.take(w.connect).result != w.host.cntlid);
}

TEST_CASE("the write does not end: Connect of the same host is refused, and may be tried again") {
  AtWork w;
  w.host.admin.close();
  w.connect_again();
  const auto deadline = w.world.target.expire(Clock::now());
  REQUIRE(deadline.has_value());
  w.world.target.expire(*deadline);
  const Answer refused = w.again.admin.take(w.connect);
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(refused.do_not_retry);
  CHECK(w.world.events.back().find("previous controller") != std::string::npos);
  w.world.disk_1.complete_all();
  CHECK(w.again.connect().ok());
}

TEST_CASE("a Connect that waits ends with its connection") {
  AtWork w;
  w.host.admin.close();
  w.connect_again();
  w.again.admin.close();
  CHECK(w.again.admin.answered(w.connect));
  w.world.disk_1.complete_all();
  w.world.target.expire(Clock::now());
}

TEST_CASE("other hosts connect meanwhile, and the host connects to other subsystems") {
  AtWork w;
  w.host.admin.close();
  Host other(w.world, "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555");
  CHECK(other.connect().ok());
  Host elsewhere(w.world, World::kHostNqn, 2);
  CHECK(elsewhere.connect(World::kOtherNqn).ok());
  Host discovery(w.world);
  CHECK(discovery.connect(nvme::kDiscoveryNqn).ok());
}

TEST_CASE("a subsystem is removed and made anew while a write of its host is at the disk: Connect waits") {
  AtWork w;
  w.world.target.remove_subsystem(w.world.subsystem);
  w.world.target.add_subsystem({.nqn = World::kNqn,
                                .serial = "SN-0001",
                                .model = "Example disks",
                                .ports = {1},
                                .allow_any_host = true,
                                .allowed_hosts = {}});
  w.connect_again();
  CHECK_FALSE(w.again.admin.answered(w.connect));
  w.world.disk_1.complete_all();
  w.world.target.expire(Clock::now());
  CHECK(w.again.admin.take(w.connect).ok());
  w.close_all();
}

TEST_CASE("a silent controller makes room for its host's new one: not before its write has ended") {
  AtWork w(100'000);
  w.world.subsystem.set_max_controllers(10, 1);
  for (Wire* wire : {&w.host.admin, &w.host.io(1), &w.host.io(2)}) wire->queue.saw_command = false;
  w.controller().set_keep_alive(100'000, Clock::now() - milliseconds(80'000));
  w.host.io(1).queue.saw_command = w.host.io(2).queue.saw_command = w.host.admin.queue.saw_command = false;
  w.connect_again(100'000);
  CHECK_FALSE(w.again.admin.answered(w.connect));
  CHECK_FALSE(w.any_connection_ended());
  w.world.disk_1.complete_all();
  CHECK(w.host.admin.disconnected());
  w.world.target.expire(Clock::now());
  CHECK(w.again.admin.take(w.connect).ok());
}

TEST_CASE("the queue's write is on a reactor: RDY is told when the reactor has said that it ended") {
  AtWork w;
  core::Mailbox control;
  core::Mailbox reactor;
  w.host.io(1).queue.control = &control;
  w.host.io(1).queue.reactor = &reactor;
  w.host.enable(0);
  CHECK(w.host.io(1).drops(command(nvme_cmd_read, 1), Bytes(512)));  // before the reactor has heard of it
  CHECK(reactor.receive() == 1);
  CHECK(control.receive() == 0);
  w.world.disk_1.complete_all();
  CHECK(w.host.csts() == kReady);
  CHECK(control.receive() == 1);
  CHECK(w.host.csts() == 0);
}

}  // namespace
}  // namespace nvmf::test
