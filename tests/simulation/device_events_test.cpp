// What an RNIC tells in the middle of commands, of each kind and with each provider.
#include "tests/simulation/device_events.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kLongNs = 120'000'000'000;

bool ends_connections(DeviceEvent event) {
  return event != DeviceEvent::GidChanges && event != DeviceEvent::AddressChanges;
}

TEST_CASE("after each event of a device hosts are served as before, and nothing is left of those that it ended") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    for (unsigned kind = 0; kind < kDeviceEvents; ++kind) {
      const auto event = static_cast<DeviceEvent>(kind);
      CAPTURE(profile.name);
      CAPTURE(kind);
      WorldOptions options;
      options.seed = kind + 1;
      options.profile = profile;
      World world(options);
      HostOptions of_host;
      of_host.keep_alive_ms = World::kKeepAliveMs;
      {
        Host host(world, of_host);
        REQUIRE_MESSAGE(host.bring_up(), host.failure);
        for (unsigned i = 0; i < 6; ++i)
          host.io(1).send(transfer_command(i % 2 ? nvme_cmd_read : nvme_cmd_write, i * 128, 128),
                          i % 2 ? Direction::ToHost : Direction::ToController, Bytes(65536));
        bool happened = false;
        bool over = false;
        world.start_host([&] {
          happened = have_device_event(world, event);
          over = true;
        });
        REQUIRE(world.wait([&] { return host.admin().turn(), host.keep_alive(), over; }, kLongNs));
        CHECK(happened);
        if (!ends_connections(event)) CHECK(host.read(1, 0, 8).ok());
        host.vanish();
      }
      Host again(world, of_host);
      REQUIRE_MESSAGE(again.bring_up(), again.failure);
      CHECK(again.read(1, 0, 8).ok());
      again.leave();
      world.check_quiet();
      CHECK(world.fabric.faults() == std::vector<std::string>{});
    }
  }
}

}  // namespace
}  // namespace nvmf::simulation
