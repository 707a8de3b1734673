// What an honest host takes for a fault.
#include "tests/simulation/workload.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>

using namespace nvmf;
using namespace nvmf::simulation;

TEST_CASE("an honest host whose queue reaches the target waits for its answers in troubled times, too") {
  for (const bool is_troubled : {false, true}) {
    CAPTURE(is_troubled);
    World world({});
    Workload workload(world, {.number = 1, .host = {.keep_alive_ms = World::kKeepAliveMs}}, 0, World::kBlocks);
    world.start_host([&] { workload.run(); });
    REQUIRE(world.wait([&] { return workload.sent() != 0; }));
    std::optional<Disturbance> trouble;
    if (is_troubled) trouble.emplace(world);
    world.disk.hang(true);
    world.wait([&] { return !world.fabric.faults().empty() || world.hosts_are_done(); }, 60'000'000'000);
    const auto faults = world.fabric.take_faults();
    world.disk.hang(false);
    CHECK(world.wait([&] { return world.hosts_are_done(); }, 60'000'000'000));
    CHECK(std::ranges::any_of(faults,
                              [](const std::string& fault) { return fault.ends_with("is not answered in time"); }));
  }
}

TEST_CASE("an honest host gives up a target that is away") {
  World world({});
  Workload workload(world, {.number = 1, .host = {.keep_alive_ms = World::kKeepAliveMs}, .connections = 1}, 0,
                    World::kBlocks);
  world.start_host([&] { workload.run(); });
  REQUIRE(world.wait([&] { return workload.sent() != 0; }));
  world.disk.hang(true);
  world.remove_device();
  CHECK(world.wait([&] { return world.hosts_are_done(); }));
  CHECK(world.fabric.take_faults().empty());
}
