// A namespace in memory that RNICs read themselves: what hosts read goes straight out of it, and a block does not
// change while it does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

constexpr uint32_t kMostBlocks = World::kMaxTransferBytes >> World::kLbaShift;

Bytes pattern(uint32_t blocks, unsigned seed) {
  Bytes data(size_t{blocks} << World::kLbaShift);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>((i * 13 + seed + (i >> 8)) & 0xff);
  return data;
}

WorldOptions in_memory(const rnic::Profile& profile = rnic::connectx()) {
  WorldOptions options;
  options.profile = profile;
  options.in_memory = true;
  options.reactors = 2;
  return options;
}

HostOptions host_options(uint8_t number, bool takes_answers = true) {
  HostOptions options;
  options.nqn = "nqn.2024-01.org.example:host-" + std::to_string(number);
  options.hostid = number;
  options.takes_answers = takes_answers;
  options.address = World::kHostAddresses[number];
  return options;
}

const daemon::ServedNamespace& served(World& world, uint32_t nsid = World::kNsid) {
  return *world.control_plane().storage().find(World::kNqn, nsid);
}

uint64_t reads(World& world, core::DataPath path, uint32_t nsid = World::kNsid) {
  uint64_t total = 0;
  for (const daemon::OnGroup& place : served(world, nsid).on_groups)
    total += place.view->counters.reads[static_cast<size_t>(path)].commands.get();
  return total;
}

TEST_CASE("what a host writes to a namespace in memory it reads again, straight out of the memory") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    World world(in_memory(profile));
    CHECK(served(world).p2p.verdict.find("straight out of") != std::string::npos);
    Host host(world, host_options(1));
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    for (const uint32_t blocks : {1u, 8u, 9u, kMostBlocks}) {
      const Bytes data = pattern(blocks, blocks);
      REQUIRE(host.write(1, 100, data, blocks <= 8).ok());
      const Answer answer = host.read(1, 100, blocks);
      REQUIRE(answer.ok());
      CHECK(answer.data == data);
    }
    CHECK(reads(world, core::DataPath::Direct) == 4);
    CHECK(reads(world, core::DataPath::Dram) == 0);
    host.leave();
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

TEST_CASE("Write Zeroes and Compare of a namespace in memory") {
  World world(in_memory());
  Host host(world, host_options(1));
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const Bytes data = pattern(64, 1);
  REQUIRE(host.write(1, 0, data).ok());
  const nvme::Sqe compare = transfer_command(nvme_cmd_compare, 0, 64);
  CHECK(host.run(host.io(1), compare, Direction::ToController, data).ok());
  CHECK(host.run(host.io(1), compare, Direction::ToController, pattern(64, 2)).status ==
        (NVME_SCT_MEDIA << NVME_SCT_SHIFT | NVME_SC_COMPARE_FAILED));
  REQUIRE(host.run(host.io(1), transfer_command(nvme_cmd_write_zeroes, 1, 62), Direction::None).ok());
  Bytes expected(data.size());
  std::copy_n(data.begin(), 512, expected.begin());
  std::copy_n(data.end() - 512, 512, expected.end() - 512);
  const Answer answer = host.read(1, 0, 64);
  REQUIRE(answer.ok());
  CHECK(answer.data == expected);
  host.leave();
}

// Its RNIC may still read the blocks: they must not change before it has been disconnected.
TEST_CASE("a write waits for a host that does not take its answer to a read of the blocks, but not for long") {
  World world(in_memory());
  Host stalled(world, host_options(1, false));
  REQUIRE_MESSAGE(stalled.bring_up(), stalled.failure);
  Host writer(world, host_options(2));
  REQUIRE_MESSAGE(writer.bring_up(), writer.failure);
  const Bytes before = pattern(8, 1);
  const Bytes after = pattern(8, 2);
  REQUIRE(writer.write(1, 0, before).ok());
  stalled.io(1).send(transfer_command(nvme_cmd_read, 0, 8), Direction::ToHost, Bytes(4096));
  REQUIRE(world.wait([&] { return reads(world, core::DataPath::Direct) == 1; }));

  HostQueue& queue = writer.io(1);
  const uint16_t cid = queue.send(transfer_command(nvme_cmd_write, 0, 8), Direction::ToController, after);
  const uint64_t sent_ns = world.fabric.now_ns();
  CHECK_FALSE(world.wait([&] { return queue.turn(), queue.answer(cid).has_value(); }, 1'000'000'000));
  CHECK(std::memcmp(served(world).device->info().memory.data(), before.data(), before.size()) == 0);
  REQUIRE_MESSAGE(writer.write(1, 1024, after).ok(), "other blocks are written meanwhile");

  CHECK(world.wait([&] {
    stalled.io(1).turn();
    return queue.turn(), writer.keep_alive(), queue.answer(cid).has_value();
  }));
  CHECK(queue.answer(cid)->status == 0);
  queue.take(cid);
  CHECK(world.fabric.now_ns() - sent_ns < 5'000'000'000);
  CHECK(stalled.io(1).state() != HostQueue::State::Connected);
  const Answer answer = writer.read(1, 0, 8);
  REQUIRE(answer.ok());
  CHECK(answer.data == after);
  writer.leave();
}

TEST_CASE("an RNIC that goes and returns reads the memory again, and what was written is there") {
  World world(in_memory());
  const Bytes data = pattern(kMostBlocks, 3);
  {
    Host host(world, host_options(1));
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    REQUIRE(host.write(1, 0, data).ok());
    for (int i = 0; i < 8; ++i)
      host.io(1).send(transfer_command(nvme_cmd_read, 0, kMostBlocks), Direction::ToHost, Bytes(data.size()));
    world.remove_device();
  }
  REQUIRE(world.wait([&] { return world.transport()->rnics().empty(); }));
  world.return_device(rnic::irdma_gen3());
  REQUIRE(world.wait([&] { return world.is_in_service(); }));
  Host host(world, host_options(2));
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const Answer answer = host.read(1, 0, kMostBlocks);
  REQUIRE(answer.ok());
  CHECK(answer.data == data);
  CHECK(reads(world, core::DataPath::Direct) == 1);
  REQUIRE_MESSAGE(host.write(1, 0, pattern(1, 4)).ok(), "no read that ended with the device keeps the blocks");
  host.leave();
  world.check_quiet();
}

TEST_CASE("an RNIC that cannot register a namespace's memory serves it by copies") {
  constexpr uint32_t kLarge = 2;
  World world({});
  world.device->limit_memory(6U << 20U);
  WorldConfig with_more = world.config();
  with_more.namespaces.push_back({.nsid = kLarge, .disk = "", .memory_bytes = 8U << 20U});
  REQUIRE(world.reload(with_more).empty());
  Host host(world, host_options(1));
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const Bytes data = pattern(8, 1);
  REQUIRE(host.run(host.io(1), transfer_command(nvme_cmd_write, 9, 8, kLarge), Direction::ToController, data).ok());
  const Answer answer =
      host.run(host.io(1), transfer_command(nvme_cmd_read, 9, 8, kLarge), Direction::ToHost, Bytes(data.size()));
  REQUIRE(answer.ok());
  CHECK(answer.data == data);
  CHECK(served(world, kLarge).p2p.verdict.find("with rnic0, which cannot read the memory") != std::string::npos);
  CHECK(reads(world, core::DataPath::Dram, kLarge) == 1);
  CHECK(reads(world, core::DataPath::Direct, kLarge) == 0);
  host.leave();
}

TEST_CASE("the namespace is removed while its memory is read") {
  World world(in_memory());
  Host host(world, host_options(1));
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  while (host.io(1).has_room())
    host.io(1).send(transfer_command(nvme_cmd_read, 0, kMostBlocks), Direction::ToHost,
                    Bytes(World::kMaxTransferBytes));
  WorldConfig without = world.config();
  without.namespaces.clear();
  CHECK(world.reload(without).empty());
  CHECK(world.wait([&] { return host.io(1).turn(), host.io(1).outstanding() == 0; }));
  CHECK(world.reload(world.config()).empty());
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

}  // namespace
}  // namespace nvmf::simulation
