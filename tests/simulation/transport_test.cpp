// The target's transport on the model of each provider family: what an honest host does, and what a device may do.
#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "tests/simulation/with_each_profile.h"

namespace nvmf::simulation {
namespace {

TEST_CASE("a host connects, identifies the controller, and leaves") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    const Answer identified = host.identify_controller();
    REQUIRE(identified.ok());
    CHECK(std::memcmp(identified.data.data() + 4, "SN-0001 ", 8) == 0);
    host.leave();
    CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
  });
}

TEST_CASE("what a host writes it reads again, byte for byte, by RDMA and in the capsule") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    for (const uint32_t blocks : {1u, 8u, 9u, 128u}) {
      for (const bool in_capsule : {false, true}) {
        const Bytes data = pattern(size_t{blocks} << World::kLbaShift, blocks);
        if (in_capsule && data.size() > 4096) continue;
        CAPTURE(blocks);
        REQUIRE(host.write(1, 100, data, in_capsule).ok());
        CHECK(std::memcmp(world.disk.block(100), data.data(), data.size()) == 0);
        const Answer answer = host.read(1, 100, blocks);
        REQUIRE(answer.ok());
        CHECK(answer.data == data);
      }
    }
    host.leave();
  });
}

TEST_CASE("a full queue of commands is answered, each once, whatever order the disk ends them in") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    HostQueue& queue = host.io(1);
    REQUIRE(world.wait([&] { return queue.turn(), queue.room() == 15; }));  // the SEND of Connect has completed
    std::vector<uint16_t> cids;
    while (queue.has_room()) {
      const auto first = static_cast<uint64_t>(cids.size()) * 16;
      const Bytes data = pattern(16 << World::kLbaShift, static_cast<unsigned>(first));
      cids.push_back(queue.send(transfer_command(nvme_cmd_write, first, 16), Direction::ToController, data));
    }
    CHECK(cids.size() == 15);
    CHECK(world.wait([&] { return queue.turn(), queue.outstanding() == 0; }));
    for (size_t i = 0; i < cids.size(); ++i) {
      REQUIRE(queue.answer(cids[i]));
      CHECK(queue.answer(cids[i])->status == 0);
      const Bytes data = pattern(16 << World::kLbaShift, static_cast<unsigned>(i * 16));
      CHECK(std::memcmp(world.disk.block(i * 16), data.data(), data.size()) == 0);
    }
    host.leave();
  });
}

// A host that finds CSTS.RDY at 0 may write the same blocks by another path: nothing of this one may land on top.
TEST_CASE("a host resets its controller while a write is at the disk: it is ready until the disk has ended it") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    world.disk.hang(true);
    host.io(1).send(transfer_command(nvme_cmd_write, 0, 8), Direction::ToController, pattern(4096, 1));
    REQUIRE(world.wait([&] { return world.disk.in_flight() == 1; }));
    REQUIRE(host.property_set(NVME_REG_CC, 0).ok());
    const auto is_ready = [&] {
      const Answer status = host.property_get(NVME_REG_CSTS);
      return status.ok() && (status.result & 1) != 0;
    };
    CHECK_FALSE(world.wait([&] { return !is_ready(); }, 200'000'000));
    world.disk.hang(false);
    CHECK(world.wait([&] { return !is_ready(); }));
    CHECK(world.disk.in_flight() == 0);
    host.leave();
  });
}

HostOptions another_host() {
  HostOptions options;
  options.nqn = "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555";
  options.hostid = 0x43;
  return options;
}

constexpr uint32_t kWriteExclusive = 1;   // RTYPE
constexpr uint32_t kPreemptAndAbort = 2;  // RACQA

// Register without CPTPL and IEKEY: the keys are the current and the new one. Acquire: the current and the one to be
// preempted.
Answer reserve(Host& host, uint8_t opcode, uint32_t cdw10, std::array<uint64_t, 2> keys) {
  nvme::Sqe sqe = transfer_command(opcode, 0, 1);
  sqe.cdw10 = cdw10;
  sqe.cdw11 = sqe.cdw12 = 0;
  Bytes data(sizeof keys);
  std::memcpy(data.data(), keys.data(), sizeof keys);
  return host.run(host.io(1), sqe, Direction::ToController, data);
}

// A cluster fences a node by it: nothing of the preempted host may land after the answer.
TEST_CASE("Preempt and Abort is answered when the disk has ended what the preempted host had there") {
  with_each_profile([](World& world, const HostOptions& options) {
    constexpr uint64_t kTheirs = 1;
    constexpr uint64_t kOurs = 2;
    Host host(world, options);
    Host fenced(world, another_host());
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    REQUIRE_MESSAGE(fenced.bring_up(), fenced.failure);
    REQUIRE(reserve(fenced, nvme_cmd_resv_register, 0, {0, kTheirs}).ok());
    REQUIRE(reserve(fenced, nvme_cmd_resv_acquire, kWriteExclusive << 8, {kTheirs, 0}).ok());
    REQUIRE(reserve(host, nvme_cmd_resv_register, 0, {0, kOurs}).ok());
    HostQueue& queue = fenced.io(1);
    REQUIRE(world.wait([&] { return queue.turn(), queue.room() == 15; }));
    world.disk.hang(true);
    for (uint64_t i = 0; i < 15; ++i)
      queue.send(transfer_command(nvme_cmd_write, i, 1), Direction::ToController, pattern(1 << World::kLbaShift, 7));
    REQUIRE(world.wait([&] { return world.disk.in_flight() == 15; }));
    bool preempted = false;
    Answer answer;
    world.start_host([&] {
      answer = reserve(host, nvme_cmd_resv_acquire, kWriteExclusive << 8 | kPreemptAndAbort, {kOurs, kTheirs});
      preempted = true;
    });
    CHECK_FALSE(world.wait([&] { return preempted; }, 200'000'000));
    world.disk.hang(false);
    CHECK(world.wait([&] { return queue.turn(), preempted; }));
    CHECK(world.disk.in_flight() == 0);
    CHECK(answer.ok());
    CHECK(world.wait([&] { return queue.turn(), queue.outstanding() == 0; }));
    CHECK(fenced.write(1, 0, pattern(1 << World::kLbaShift, 8)).status == NVME_SC_RESERVATION_CONFLICT);
    host.leave();
    fenced.leave();
  });
}

nvme::Sqe half(uint8_t fuse, uint8_t opcode) {
  nvme::Sqe sqe = transfer_command(opcode, 0, 1);
  sqe.flags = fuse;
  return sqe;
}

// Held back by another host's fused pair, and so not at a disk: it must never get there.
TEST_CASE("a host resets its controller while its write waits at the gate: over at once, and never written") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    Host lost(world, another_host());
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    REQUIRE_MESSAGE(lost.bring_up(), lost.failure);
    const Bytes block(1 << World::kLbaShift);
    world.disk.hang(true);
    host.io(1).send(half(1, nvme_cmd_compare), Direction::ToController, block);
    const uint16_t write = host.io(1).send(half(2, nvme_cmd_write), Direction::ToController, block);
    REQUIRE(world.wait([&] { return world.disk.in_flight() == 1; }));  // the Compare's read
    lost.io(1).send(transfer_command(nvme_cmd_write, 50, 1), Direction::ToController, pattern(block.size(), 7));
    CHECK_FALSE(world.wait([&] { return world.disk.in_flight() != 1; }, 20'000'000));
    REQUIRE(lost.property_set(NVME_REG_CC, 0).ok());
    const auto is_ready = [&] {
      const Answer status = lost.property_get(NVME_REG_CSTS);
      return status.ok() && (status.result & 1) != 0;
    };
    CHECK(world.wait([&] { return !is_ready(); }));
    world.disk.hang(false);
    CHECK(world.wait([&] { return host.io(1).turn(), host.io(1).answer(write).has_value(); }));
    CHECK(host.io(1).answer(write)->status == 0);
    CHECK_FALSE(world.wait([&] { return world.disk.in_flight() != 0; }, 20'000'000));
    CHECK(std::memcmp(world.disk.block(50), block.data(), block.size()) == 0);
    host.leave();
    lost.leave();
  });
}

// Issue: completion events must be taken by the verb, or ConnectX, irdma and efa wake nobody a second time.
TEST_CASE("a target that has slept wakes for the next command, again and again") {
  with_each_profile([](World& world, const HostOptions& options) {
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    for (int i = 0; i < 20; ++i) {
      const uint64_t now = world.fabric.now_ns();
      world.wait([&] { return world.fabric.now_ns() > now + 50'000'000; });
      CHECK(host.property_get(NVME_REG_CSTS).ok());
      CHECK(host.read(1, 0, 1).ok());
    }
    host.leave();
  });
}

TEST_CASE("a host that vanishes without a word leaves nothing behind once it is missed") {
  with_each_profile([](World& world, HostOptions options) {
    options.keep_alive_ms = 1000;
    Host host(world, options);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    host.io(1).send(transfer_command(nvme_cmd_read, 0, 128), Direction::ToHost, Bytes(65536));
    world.host_device.set_link(false);
    host.vanish();
    CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
    world.host_device.set_link(true);
    CHECK(world.disk.in_flight() == 0);
  });
}

// Of a queue pair that takes no more receive slots: IBV_EVENT_QP_LAST_WQE_REACHED.
TEST_CASE(
    "a provider that never says that it is done with a queue pair: the connection ends all the same, in a second") {
  for (const bool reports : {true, false}) {
    for (rnic::Profile profile : rnic::all_profiles()) {
      CAPTURE(profile.name);
      CAPTURE(reports);
      profile.reports_last_wqe = reports;
      WorldOptions options;
      options.profile = profile;
      World world(options);
      Host host(world, {});
      REQUIRE_MESSAGE(host.bring_up(), host.failure);
      REQUIRE(host.read(1, 0, 8).ok());
      const uint64_t begin = world.fabric.now_ns();
      host.leave();
      REQUIRE(world.wait([&] { return world.transport()->connections() == 0; }));
      CHECK(world.fabric.now_ns() - begin < 1'000'000'000);
      world.check_quiet();
      CHECK(world.fabric.faults() == std::vector<std::string>{});
    }
  }
}

TEST_CASE("a device that goes in the middle of commands is let go of, and serves again when it is back") {
  with_each_profile([](World& world, const HostOptions& options) {
    {
      Host host(world, options);
      REQUIRE_MESSAGE(host.bring_up(), host.failure);
      for (unsigned i = 0; i < 6; ++i)
        host.io(1).send(transfer_command(i % 2 ? nvme_cmd_read : nvme_cmd_write, i * 128, 128),
                        i % 2 ? Direction::ToHost : Direction::ToController, pattern(65536, i));
      world.wait([&] { return world.disk.in_flight() >= 2; });
      world.remove_device();
      CHECK(world.wait([&] { return world.transport()->rnics().empty(); }));
      host.vanish();
    }
    world.return_device(rnic::connectx());
    REQUIRE(world.wait([&] { return world.is_in_service(); }));
    Host again(world, {});
    REQUIRE_MESSAGE(again.bring_up(), again.failure);
    CHECK(again.read(1, 0, 8).ok());
    again.leave();
  });
}

}  // namespace
}  // namespace nvmf::simulation
