// What an RNIC tells in the middle of commands, of each kind and with each provider.
#include "tests/simulation/device_events.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/rnic/completion_queue.h"
#include "tests/simulation/host.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kLongNs = 120'000'000'000;

bool ends_connections(DeviceEvent event) {
  return event != DeviceEvent::GidChanges && event != DeviceEvent::AddressChanges;
}

// Issue: it has the fewest queues, so that it got every new one. Here its queue pairs take a minute to be destroyed.
TEST_CASE("a reactor's group whose queues have failed gets no new host until it is made anew: the others serve") {
  WorldOptions options;
  options.profile = rnic::soft_roce();
  options.reactors = 3;
  World world(options);
  HostOptions of_host;
  of_host.io_queues = 3;
  Host before(world, of_host);
  REQUIRE_MESSAGE(before.bring_up(), before.failure);
  world.device->set_slow_destroy(60'000'000'000, 100);
  const rdma::PollGroup& failed = *world.transport()->rnics().front()->io_groups().front();
  static_cast<rnic::CompletionQueue*>(failed.queue_sets().front()->receive_cq.get())->fail();
  REQUIRE(world.wait([&] { return failed.takes_no_queue_pairs(); }));
  before.vanish();
  for (uint8_t number = 1; number <= 3; ++number) {
    of_host.nqn = "nqn.2024-01.org.example:host-" + std::to_string(number);
    of_host.hostid = number;
    Host host(world, of_host);
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    for (uint16_t qid = 1; qid <= 3; ++qid) CHECK(host.read(qid, 0, 8).ok());
    CHECK(failed.takes_no_queue_pairs());
    world.transport()->visit([&](const rdma::Connection& connection) {
      if (!connection.is_closing()) CHECK(&connection.queue_pair().queues->group != &failed);
    });
    host.leave();
  }
  CHECK(world.wait([&] { return !failed.takes_no_queue_pairs(); }, kLongNs));
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("an RNIC that is back and cannot register memory: its port waits, and serves once the RNIC can") {
  World world({});
  world.remove_device();
  REQUIRE(world.wait([&] { return world.transport()->rnics().empty(); }));
  world.return_device(rnic::connectx());
  world.device->limit_memory(1U << 20U);
  CHECK_FALSE(world.wait([&] { return world.is_in_service(); }, 5'000'000'000));
  CHECK(world.device->objects() == 0);
  world.device->limit_memory(std::nullopt);
  REQUIRE(world.wait([&] { return world.is_in_service(); }));
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(host.read(1, 0, 8).ok());
  host.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

// Hosts reconnect for so long as they are told to, which may be 2 s.
TEST_CASE("the address of a port moves to another device, and no event tells of it: it listens there within 2 s") {
  World world({});
  rnic::Device& other = world.fabric.add_device("rnic1", "192.0.2.50", rnic::connectx());
  world.device->add_address("192.0.2.51");
  REQUIRE(world.is_in_service());
  world.device->remove_address(World::kAddress);
  other.add_address(World::kAddress);
  const auto has_moved = [&] { return world.transport()->rnics().size() == 2 && world.is_in_service(); };
  REQUIRE(world.wait(has_moved, 2'000'000'000));
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(host.read(1, 0, 8).ok());
  host.leave();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
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
