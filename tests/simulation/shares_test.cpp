// The pool of DRAM: how large it is, and what hosts that take no answers leave of it to one that does.
#include <doctest/doctest.h>

#include <climits>

#include "target/core/datapath/limits.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

constexpr const char* kHostile[] = {"192.0.2.111", "192.0.2.112", "192.0.2.113", "192.0.2.114"};
constexpr uint32_t kBlocks = World::kMaxTransferBytes >> World::kLbaShift;

WorldOptions with_small_pool() {
  WorldOptions options;
  options.dram_pool_bytes = 16 * World::kMaxTransferBytes;
  return options;
}

// Sends Reads of the largest size, at most `most`, and posts no receive for any of their answers.
class StalledHost {
 public:
  StalledHost(World& world, uint8_t number, const char* address, unsigned most = UINT_MAX)
      : host_(world, of(number, address)) {
    REQUIRE_MESSAGE(host_.bring_up(), host_.failure);
    for (; host_.io(1).has_room() && most != 0; --most)
      host_.io(1).send(transfer_command(nvme_cmd_read, 0, kBlocks), Direction::ToHost, Bytes(World::kMaxTransferBytes));
    world.wait([&] { return false; }, 50'000'000);
  }
  bool is_connected() {
    host_.io(1).turn();
    return host_.io(1).state() == HostQueue::State::Connected;
  }

 private:
  static HostOptions of(uint8_t number, const char* address) {
    HostOptions options;
    options.nqn = "nqn.2024-01.org.example:hostile-" + std::to_string(number);
    options.hostid = number;
    options.depth = 32;
    options.takes_answers = false;
    options.address = address;
    return options;
  }

  Host host_;
};

uint64_t over_share(World& world) {
  uint64_t sum = 0;
  world.target.host_traffic().visit(
      [&](const std::string&, const core::TrafficCounters& total) { sum += total.over_share.get(); });
  return sum;
}

// 4 GiB have no bits below the 33rd.
TEST_CASE("a pool of 4 GiB is as large as that, and serves hosts") {
  WorldOptions options;
  options.dram_pool_bytes = uint64_t{4} << 30;
  World world(options);
  for (const auto& rnic : world.transport()->rnics())
    rnic->visit([&](rdma::PollGroup& group) {
      if (&group != &rnic->admin_group()) CHECK(group.dram().size_bytes() == options.dram_pool_bytes);
    });
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(host.read(1, 0, kBlocks).ok());
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// The reactor sleeps meanwhile: nothing but the completions of its answers can wake it.
TEST_CASE("a host whose commands wait for buffers, and that sends no more, gets all of its answers") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    WorldOptions options = with_small_pool();
    options.profile = profile;
    options.dram_pool_bytes = 4 * World::kMaxTransferBytes;
    World world(options);
    Host host(world, {});
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    HostQueue& queue = host.io(1);
    while (queue.has_room())
      queue.send(transfer_command(nvme_cmd_read, 0, kBlocks), Direction::ToHost, Bytes(World::kMaxTransferBytes));
    CHECK(queue.outstanding() > 4);
    CHECK(world.wait([&] { return queue.turn(), queue.outstanding() == 0; }, 1'000'000'000));
    host.leave();
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

TEST_CASE("a host that takes no answers leaves buffers to the others: their commands do not wait") {
  World world(with_small_pool());
  world.host_device.add_address(kHostile[0]);
  Host honest(world, {});
  REQUIRE_MESSAGE(honest.bring_up(), honest.failure);
  StalledHost stalled(world, 1, kHostile[0]);
  const uint64_t begin = world.fabric.now_ns();
  for (int i = 0; i < 50; ++i) REQUIRE(honest.read(1, 0, kBlocks).ok());
  CHECK(stalled.is_connected());  // it was not over before
  CHECK(world.fabric.now_ns() - begin < 1'000'000'000);
  CHECK(over_share(world) != 0);
  honest.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Issue: the pool counted as dry from then on, until somebody gave memory back while others waited: nobody ever did.
TEST_CASE("the only host that waits for a buffer goes, then those that hold them: the next host is served") {
  World world(with_small_pool());
  {
    // Three quarters of the pool of 16, of what is left, and the last one.
    std::vector<std::unique_ptr<StalledHost>> stalled;
    for (const unsigned most : {12, 3, 1}) {
      const char* const address = kHostile[stalled.size()];
      world.host_device.add_address(address);
      stalled.push_back(std::make_unique<StalledHost>(world, static_cast<uint8_t>(stalled.size() + 1), address, most));
    }
    Host waiting(world, {});
    REQUIRE_MESSAGE(waiting.bring_up(), waiting.failure);
    waiting.io(1).send(transfer_command(nvme_cmd_read, 0, kBlocks), Direction::ToHost, Bytes(World::kMaxTransferBytes));
    world.wait([] { return false; }, 50'000'000);
    CHECK(waiting.io(1).outstanding() == 1);
    CHECK(world.transport()->rnics().front()->io_groups().front()->dram().is_dry());
    waiting.vanish();
    REQUIRE(world.wait([&] { return world.transport()->connections() == 2 * stalled.size(); }));
  }
  REQUIRE(world.wait([&] { return world.transport()->connections() == 0; }));
  Host next(world, {});
  REQUIRE_MESSAGE(next.bring_up(), next.failure);
  CHECK(next.read(1, 0, kBlocks).ok());
  next.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("many hosts that take no answers are disconnected as soon as others wait for their buffers") {
  World world(with_small_pool());
  Host honest(world, {});
  REQUIRE_MESSAGE(honest.bring_up(), honest.failure);
  std::vector<std::unique_ptr<StalledHost>> stalled;
  for (const char* address : kHostile) {
    world.host_device.add_address(address);
    stalled.push_back(std::make_unique<StalledHost>(world, static_cast<uint8_t>(stalled.size() + 1), address));
  }
  const uint64_t begin = world.fabric.now_ns();
  REQUIRE(honest.read(1, 0, kBlocks).ok());
  const uint64_t waited_ms = (world.fabric.now_ns() - begin) / 1'000'000;
  CHECK(waited_ms < core::limits::kStalledAnswersWhenDryMs + 2 * core::limits::kStallCheckMs);
  honest.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

}  // namespace
}  // namespace nvmf::simulation
