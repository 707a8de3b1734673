// The daemon's control plane while hosts use the target: reloads, drains, and what blocks the thread that does them.
#include "tests/simulation/operator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "target/core/datapath/limits.h"
#include "target/daemon/figures.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kShortNs = 20'000'000;
constexpr uint64_t kMinuteNs = 60'000'000'000;

uint64_t blocks_of(Host& host, uint32_t nsid) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_identify;
  sqe.nsid = nsid;
  sqe.cdw10 = NVME_IDENTIFY_CNS_NS;
  const Answer answer = host.run(host.admin(), sqe, Direction::ToHost, Bytes(4096));
  uint64_t blocks = 0;
  if (answer.ok()) std::memcpy(&blocks, answer.data.data(), sizeof blocks);
  return blocks;
}

// Takes it.
int status_of(HostQueue& queue, uint16_t cid) {
  const std::optional<nvme::Cqe> answer = queue.answer(cid);
  if (!answer) return -1;
  queue.take(cid);
  return answer->status >> 1U;
}

TEST_CASE("a reload adds, resizes and removes a namespace of a host that is connected") {
  World world({});
  ModelDisk& disk = world.add_disk("disk2", 64);
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const WorldConfig before = world.config();
  WorldConfig wanted = before;
  wanted.namespaces.push_back({.nsid = 2, .disk = "disk2"});
  REQUIRE(world.reload(wanted) == "");
  CHECK(blocks_of(host, 2) == 64);
  disk.grow(128);
  REQUIRE(world.reload(wanted) == "");
  CHECK(blocks_of(host, 2) == 128);
  CHECK(host.run(host.io(1), transfer_command(nvme_cmd_read, 127, 1, 2), Direction::ToHost, Bytes(512)).ok());
  REQUIRE(world.reload(before) == "");
  CHECK(blocks_of(host, 2) == 0);
  CHECK_FALSE(host.run(host.io(1), transfer_command(nvme_cmd_read, 0, 1, 2), Direction::ToHost, Bytes(512)).ok());
  CHECK(host.read(1, 0, 8).ok());
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Issue: the reload watched other paths from then on, and what the former watches had not delivered yet was lost.
TEST_CASE("an SSD goes while a reload adds a namespace, at any moment of it: the SSD's namespace is not served") {
  for (uint64_t at_us = 0; at_us < 50; ++at_us) {  // a reload takes 25 to 50 us
    CAPTURE(at_us);
    WorldOptions options;
    options.seed = at_us;
    World world(options);
    world.add_disk("disk2", 64);
    WorldConfig wanted = world.config();
    wanted.namespaces.push_back({.nsid = 2, .disk = "disk2"});
    const uint64_t begin = world.fabric.now_ns();
    world.start_host([&] {
      world.wait([&] { return world.fabric.now_ns() >= begin + 1000 * at_us; });
      world.remove_ssd();
    });
    CHECK(world.reload(wanted) == "");
    CHECK(world.wait([&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) == nullptr; }));
  }
}

// A command a second: those that wait are not given the time that they would have waited.
TEST_CASE("a namespace is removed while commands wait for its limit: at once, and each is answered") {
  World world({});
  world.add_disk("disk2", 64);
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const WorldConfig before = world.config();
  WorldConfig wanted = before;
  wanted.namespaces.push_back({.nsid = 2, .disk = "disk2", .max_iops = 1});
  REQUIRE(world.reload(wanted) == "");
  std::vector<uint16_t> cids;
  while (host.io(1).has_room())
    cids.push_back(host.io(1).send(transfer_command(nvme_cmd_read, 0, 1, 2), Direction::ToHost, Bytes(512)));
  world.wait([] { return false; }, kShortNs);
  host.io(1).turn();
  REQUIRE(host.io(1).answered().size() < cids.size() / 2);  // the others wait
  const uint64_t begin = world.fabric.now_ns();
  REQUIRE(world.reload(before) == "");
  CHECK(world.wait([&] { return host.io(1).turn(), host.io(1).answered().size() == cids.size(); }));
  CHECK(world.fabric.now_ns() - begin < 1'000'000'000);
  for (const uint16_t cid : cids) host.io(1).take(cid);
  CHECK(host.read(1, 0, 8).ok());
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Command Quiesce Time counts on that: it knows the disks' time-outs, and no limit. The target has the data already.
TEST_CASE(
    "a host falls silent while its writes wait for a limit: none reaches the disk once the target has missed it") {
  World world({});
  ModelDisk& disk = world.add_disk("disk2", 64);
  Host host(world, {.keep_alive_ms = 1000});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  WorldConfig wanted = world.config();
  wanted.namespaces.push_back({.nsid = 2, .disk = "disk2", .max_iops = 1});
  REQUIRE(world.reload(wanted) == "");
  const Bytes block(1 << World::kLbaShift, std::byte{7});
  uint64_t sent = 0;
  while (host.io(1).has_room())
    host.io(1).send(transfer_command(nvme_cmd_write, sent++, 1, 2), Direction::ToController, block, true);
  const auto written = [&] {
    uint64_t count = 0;
    for (uint64_t lba = 0; lba < sent; ++lba) count += std::memcmp(disk.block(lba), block.data(), block.size()) == 0;
    return count;
  };
  REQUIRE(world.wait([&] { return world.target.counters.keep_alive_expiries == 1; }, kMinuteNs));
  const uint64_t when_missed = written();
  CHECK(when_missed < sent / 2);
  world.wait([] { return false; }, kMinuteNs);
  CHECK(written() <= when_missed + 1);  // what the disk had
  host.vanish();
  CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
}

// Issue: the namespace waits for its commands, and these for a host that takes no answers.
TEST_CASE("a namespace is removed, added and reloaded while a host takes no answers of it: it ends with the host") {
  constexpr uint64_t kMostNs = uint64_t{core::limits::kStalledAnswersMs + 4 * core::limits::kStallCheckMs} * 1'000'000;
  World world({});
  world.add_disk("disk2", 256);
  const WorldConfig before = world.config();
  WorldConfig wanted = before;
  wanted.namespaces.push_back({.nsid = 2, .disk = "disk2"});
  REQUIRE(world.reload(wanted) == "");
  HostOptions options;
  options.takes_answers = false;
  Host stalled(world, options);
  REQUIRE_MESSAGE(stalled.bring_up(), stalled.failure);
  while (stalled.io(1).has_room())
    stalled.io(1).send(transfer_command(nvme_cmd_read, 0, 128, 2), Direction::ToHost, Bytes(65536));
  world.wait([] { return false; }, kShortNs);

  const uint64_t begin_ns = world.fabric.now_ns();
  CHECK(world.reload(before) == "");
  CHECK(world.fabric.now_ns() - begin_ns < kMostNs);
  const auto status_ns = world.time_on_control_thread([] {});
  REQUIRE(status_ns.has_value());
  CHECK(*status_ns < kShortNs);
  CHECK(world.reload(wanted) == "");
  CHECK(world.fabric.now_ns() - begin_ns < 2 * kMostNs);
  HostOptions other;
  other.nqn = "nqn.2024-01.org.example:another";
  other.hostid = 7;
  Host honest(world, other);
  REQUIRE_MESSAGE(honest.bring_up(), honest.failure);
  CHECK(honest.run(honest.io(1), transfer_command(nvme_cmd_read, 0, 1, 2), Direction::ToHost, Bytes(512)).ok());
  honest.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("a host that the config does not allow any more is disconnected, and comes again when it does") {
  World world({});
  const WorldConfig before = world.config();
  WorldConfig wanted = before;
  wanted.allowed_hosts = {"nqn.2024-01.org.example:another"};
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  REQUIRE(world.reload(wanted) == "");
  CHECK(world.wait([&] { return host.admin().turn(), host.admin().state() == HostQueue::State::Ended; }));
  host.vanish();
  CHECK_FALSE(Host(world, {}).bring_up());
  REQUIRE(world.reload(before) == "");
  CHECK(Host(world, {}).bring_up());
}

TEST_CASE("a port that is drained has no host, and takes hosts when it is resumed") {
  World world({});
  daemon::Ports& ports = world.control_plane().ports();
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  ports.drain(World::kPort);
  CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
  host.vanish();
  CHECK_FALSE(Host(world, {}).bring_up());
  CHECK(ports.state_of(world.target.ports().front()) == std::string("drained"));
  ports.resume(World::kPort);
  CHECK(Host(world, {}).bring_up());
}

core::AnaState ana_state_of(Host& host) {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_get_log_page;
  sqe.nsid = NVME_NSID_ALL;
  sqe.cdw10 = NVME_LOG_LID_ANA | 1023U << 16;
  const Answer answer = host.run(host.admin(), sqe, Direction::ToHost, Bytes(4096));
  constexpr size_t kStateOfFirst = 16 + 16;
  return answer.ok() ? static_cast<core::AnaState>(answer.data[kStateOfFirst]) : core::AnaState::Optimized;
}

void use_ana(Host& host) {
  nvme::Sqe notices{};
  notices.opcode = nvme_admin_set_features;
  notices.cdw10 = NVME_FEAT_FID_ASYNC_EVENT;
  notices.cdw11 = NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE;
  REQUIRE(host.run(host.admin(), notices, Direction::None, {}).ok());
  REQUIRE(ana_state_of(host) == core::AnaState::Optimized);
}

TEST_CASE("a port is drained: a host that uses ANA reads of a change, then that the port is no way, and is let go") {
  World world({});
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  use_ana(host);
  nvme::Sqe request{};
  request.opcode = nvme_admin_async_event;
  for (int events = 0; events < 2; ++events) host.admin().send(request, Direction::None, {});
  std::vector<core::AnaState> states;
  world.control_plane().ports().drain(World::kPort);
  CHECK(world.wait([&] {
    const core::AnaState state = ana_state_of(host);
    if (state != core::AnaState::Optimized && (states.empty() || states.back() != state)) states.push_back(state);
    return world.transport()->connections() == 0;
  }));
  CHECK(states == std::vector{core::AnaState::Change, core::AnaState::Inaccessible});
}

TEST_CASE("a port is resumed and drained again at once: its hosts have the whole time of the second drain") {
  constexpr uint64_t kSecondNs = 1'000'000'000;
  World world({});
  daemon::Ports& ports = world.control_plane().ports();
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  use_ana(host);  // and it does not read what comes
  ports.drain(World::kPort);
  const uint64_t begin_ns = world.fabric.now_ns() + 2 * kSecondNs;
  REQUIRE(world.wait([&] { return world.fabric.now_ns() >= begin_ns; }));
  REQUIRE(world.transport()->connections() != 0);
  ports.resume(World::kPort);
  ports.drain(World::kPort);
  CHECK(world.wait([&] { return world.transport()->connections() == 0; }, 10 * kSecondNs));
  CHECK(world.fabric.now_ns() - begin_ns >= 5 * kSecondNs);
}

TEST_CASE("before the daemon makes way no host can come, and those that are there stay") {
  World world({});
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  bool moved = false;
  world.control_plane().move_hosts([&] { moved = true; });
  CHECK(world.wait([&] { return moved; }));
  CHECK_FALSE(Host(world, {}).bring_up());
  CHECK(world.transport()->connections() != 0);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Issue: the kernel keeps a thread that destroys a queue pair for up to a minute (Soft-RoCE).
TEST_CASE("destroying a queue pair takes a minute: the control thread goes on, and hosts come meanwhile") {
  WorldOptions options;
  options.profile = rnic::soft_roce();
  World world(options);
  world.device->set_slow_destroy(kMinuteNs, 100);
  {
    Host host(world, {});
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    host.leave();
  }
  // Both queues have ended, and their queue pairs have not.
  REQUIRE(world.wait([&] { return world.target.controllers_on(World::kPort) == 0; }));
  CHECK(world.transport()->connections() == 2);
  const auto taken_ns = world.time_on_control_thread([] {});
  REQUIRE(taken_ns.has_value());
  CHECK(*taken_ns < kShortNs);
  const uint64_t begin = world.fabric.now_ns();
  Host another(world, {});
  REQUIRE_MESSAGE(another.bring_up(), another.failure);
  CHECK(another.read(1, 0, 8).ok());
  CHECK(world.fabric.now_ns() - begin < kMinuteNs / 10);
  another.leave();
  CHECK(world.wait([&] { return world.transport()->connections() == 0; }, 3 * kMinuteNs));
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// The RNIC that went has commands with the disk, and so waits for it; no other does.
TEST_CASE("a disk hangs while its RNIC goes: other ports are opened, and the RNIC is let go of when the disk answers") {
  WorldOptions options;
  options.ports = 2;
  World world(options);
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  world.disk.hang(true);
  for (int i = 0; i < 4; ++i) host.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(4096));
  REQUIRE(world.wait([&] { return world.disk.in_flight() == 4; }));
  world.remove_device();
  host.vanish();

  const auto& devices = world.fabric.devices();
  const auto second = std::ranges::find_if(devices, [](const auto* one) { return std::string(one->name) == "rnic1"; });
  REQUIRE(second != devices.end());
  world.fabric.remove(**second);
  REQUIRE(world.wait([&] { return !world.transport()->is_listening(2); }));
  world.fabric.add_device("rnic1", World::kSecondAddress, options.profile);
  CHECK(world.wait([&] { return world.transport()->is_listening(2); }));
  CHECK(world.disk.in_flight() == 4);  // it still hangs
  CHECK(world.transport()->rnics().size() == 2);

  world.disk.hang(false);
  CHECK(world.wait([&] { return world.transport()->rnics().size() == 1; }));
  HostOptions over_the_second;
  over_the_second.target = World::kSecondAddress;
  Host another(world, over_the_second);
  REQUIRE_MESSAGE(another.bring_up(), another.failure);
  CHECK(another.read(1, 0, 8).ok());
  another.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Issue: a removal waited for the last command of its disk, and with it every other change.
TEST_CASE("a disk hangs for good, and its namespace is removed: other changes are made, and an RNIC comes back") {
  WorldOptions options;
  options.ports = 2;
  World world(options);
  world.add_disk("disk3", 64);
  world.add_disk("disk4", 64);
  ModelDisk& hung = world.add_disk("disk2", 64);
  const WorldConfig before = world.config();
  WorldConfig with_disk2 = before;
  with_disk2.namespaces.push_back({.nsid = 2, .disk = "disk2"});
  REQUIRE(world.reload(with_disk2) == "");
  HostOptions over_the_second;
  over_the_second.target = World::kSecondAddress;
  Host host(world, over_the_second);
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  hung.hang(true);
  const uint16_t cid = host.io(1).send(transfer_command(nvme_cmd_read, 0, 1, 2), Direction::ToHost, Bytes(512));
  REQUIRE(world.wait([&] { return hung.in_flight() == 1; }));

  daemon::Storage& storage = world.control_plane().storage();
  REQUIRE(world.reload(before) == "");
  CHECK(storage.namespaces().size() == 1);
  REQUIRE(storage.awaited().size() == 1);
  CHECK(storage.awaited().front().find("namespace 2 of") == 0);

  WorldConfig with_disk3 = before;
  with_disk3.namespaces.push_back({.nsid = 3, .disk = "disk3"});
  REQUIRE(world.reload(with_disk3) == "");
  CHECK(blocks_of(host, 3) == 64);
  with_disk3.namespaces.push_back({.nsid = 2, .disk = "disk4"});  // another one in its place
  REQUIRE(world.reload(with_disk3) == "");
  CHECK(host.run(host.io(1), transfer_command(nvme_cmd_read, 0, 1, 2), Direction::ToHost, Bytes(512)).ok());
  world.remove_device();
  REQUIRE(world.wait([&] { return !world.is_in_service(); }));
  world.return_device(options.profile);
  CHECK(world.wait([&] { return world.is_in_service(); }));
  CHECK(hung.in_flight() == 1);
  CHECK(storage.awaited().size() == 1);

  hung.hang(false);
  CHECK(world.wait([&] { return storage.awaited().empty(); }));
  CHECK(world.wait([&] { return host.io(1).turn(), !host.io(1).answered().empty(); }));
  CHECK(status_of(host.io(1), cid) == 0);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// The view that a command uses outlives a change of its namespace, and so do its counts.
TEST_CASE("a disk hangs, and its namespace is changed: the change is made, and the command is answered and counted") {
  World world({});
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(host.read(1, 0, 8).ok());
  world.disk.hang(true);
  const uint16_t cid = host.io(1).send(transfer_command(nvme_cmd_read, 0, 1), Direction::ToHost, Bytes(512));
  REQUIRE(world.wait([&] { return world.disk.in_flight() == 1; }));
  WorldConfig wanted = world.config();
  for (unsigned max_iops : {1'000'000, 2'000'000}) {
    wanted.namespaces.front().max_iops = max_iops;
    REQUIRE(world.reload(wanted) == "");
  }
  CHECK(world.disk.in_flight() == 1);
  const auto reads = [&] {
    const auto counters = daemon::counters_of(*world.control_plane().storage().namespaces().front());
    uint64_t commands = 0;
    for (const core::PathCounters& path : counters->reads) commands += path.commands.get();
    return commands;
  };
  CHECK(reads() == 1);
  world.disk.hang(false);
  CHECK(world.wait([&] { return host.io(1).turn(), !host.io(1).answered().empty(); }));
  CHECK(status_of(host.io(1), cid) == 0);
  CHECK(host.read(1, 0, 8).ok());
  CHECK(reads() == 3);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

}  // namespace
}  // namespace nvmf::simulation
