// Many hosts that come at once, at the rate that the config allows by default.
#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

#include "config/config.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

using State = HostQueue::State;

bool is_over(const HostQueue& queue) { return queue.state() != State::Resolving && queue.state() != State::Connecting; }

TEST_CASE(
    "a storm of hosts, twice as many as may come in a second by default: one after the other, and none is refused") {
  constexpr size_t kHosts = 2000;
  constexpr uint64_t kPatienceNs = 3'000'000'000;  // of Linux's host driver, for its connection request
  WorldOptions options;
  options.max_new_controllers_per_s = config::Limits{}.max_new_controllers_per_s;
  World world(options);
  std::vector<std::unique_ptr<HostQueue>> hosts;
  for (size_t i = 0; i < kHosts; ++i) {
    const std::string address = "198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    world.host_device.add_address(address);
    HostQueueOptions queue;
    queue.receives = 1;
    queue.address = address.c_str();
    hosts.push_back(std::make_unique<HostQueue>(world, queue));
  }
  const uint64_t begin = world.fabric.now_ns();
  size_t first = 0;
  CHECK(world.wait(
      [&] {
        for (; first < kHosts; ++first) {
          hosts[first]->turn();
          if (!is_over(*hosts[first])) break;
        }
        if (world.fabric.schedule().random().chance(1))
          for (const auto& host : hosts) host->turn();
        return first == kHosts;
      },
      2 * kPatienceNs));
  CHECK(world.fabric.now_ns() - begin < kPatienceNs);
  for (const auto& host : hosts) CHECK(host->state() == State::Connected);
  CHECK(world.transport()->refused_by_rate() == 0);
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("hosts that wait for their turn are refused when the port is drained, and forgotten when they give up") {
  WorldOptions options;
  options.max_new_controllers_per_s = 4;
  World world(options);
  std::vector<std::unique_ptr<HostQueue>> hosts;
  for (int i = 0; i < 8; ++i) hosts.push_back(std::make_unique<HostQueue>(world, HostQueueOptions{}));
  const auto accepted = [&] {
    size_t count = 0;
    for (const auto& host : hosts) host->turn(), count += host->state() == State::Connected ? 1 : 0;
    return count;
  };
  REQUIRE(world.wait([&] { return accepted() == 4; }));
  hosts.pop_back();
  world.control_plane().ports().drain(World::kPort);
  CHECK(world.wait([&] {
    accepted();
    return std::ranges::count_if(hosts, [](const auto& host) { return host->state() == State::Rejected; }) == 3;
  }));
  hosts.clear();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Other programs use the RNIC, too.
TEST_CASE("an RNIC has no queue pair left for a while: its hosts are refused, and later ones come in") {
  constexpr int kRefused = 700;  // more than there is room for
  World world({});
  const int most = world.device->profile().max_qp;
  const int own = std::exchange(world.device->queue_pairs, most);
  for (int i = 0; i < kRefused; ++i) {
    HostQueue queue(world, {});
    world.wait([&] { return queue.turn(), is_over(queue); });
    CHECK(queue.state() == State::Rejected);
  }
  world.device->queue_pairs -= most - own;
  Host host(world, {});
  CHECK_MESSAGE(host.bring_up(), host.failure);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

}  // namespace
}  // namespace nvmf::simulation
