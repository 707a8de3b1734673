// Peer memory that is taken away while commands use it.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/simulation/host.h"
#include "tests/simulation/multipath.h"

namespace nvmf::simulation {
namespace {

WorldOptions with_cmb() {
  WorldOptions options;
  options.cmb_bytes = 1 << 20;
  return options;
}

std::string verdict(World& world) {
  return world.control_plane().storage().find(World::kNqn, World::kNsid)->p2p.verdict;
}

TEST_CASE("data of a namespace with a CMB goes through it, byte for byte") {
  World world(with_cmb());
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const Bytes data(16384, std::byte{0x5a});
  REQUIRE(host.write(1, 40, data).ok());
  CHECK(std::memcmp(world.disk.block(40), data.data(), data.size()) == 0);
  CHECK(host.read(1, 40, 32).data == data);
  CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("an SSD goes in the middle of commands: hosts are served through its CMB again when it is back") {
  for (const rnic::Profile& profile : rnic::all_profiles()) {
    CAPTURE(profile.name);
    WorldOptions options = with_cmb();
    options.profile = profile;
    World world(options);
    const auto is_served = [&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) != nullptr; };
    {
      Host host(world, {});
      REQUIRE_MESSAGE(host.bring_up(), host.failure);
      for (unsigned i = 0; i < 8; ++i)
        host.io(1).send(transfer_command(i % 2 ? nvme_cmd_read : nvme_cmd_write, i * 128, 128),
                        i % 2 ? Direction::ToHost : Direction::ToController, Bytes(65536));
      world.wait([&] { return world.disk.in_flight() >= 2; });
      world.remove_ssd();
      CHECK(world.wait([&] { return !is_served() && world.control_plane().peer_memories().prepared().empty(); }));
      host.vanish();
    }
    world.return_ssd();
    REQUIRE(world.wait(is_served));
    CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");
    Host again(world, {});
    REQUIRE_MESSAGE(again.bring_up(), again.failure);
    CHECK(again.read(1, 0, 128).ok());
    again.leave();
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

TEST_CASE("a region of the CMB is revoked: the host's connection ends, and nothing else") {
  World world(with_cmb());
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  REQUIRE(host.read(1, 0, 8).ok());
  world.revoke_cmb();
  CHECK_FALSE(host.read(1, 0, 8).ok());
  host.vanish();
  CHECK(world.wait([&] { return world.transport()->connections() == 0; }));
  CHECK(Host(world, {}).bring_up());
}

TEST_CASE("a host with two paths goes on when the RNIC of one goes, with every byte as it was written") {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    WorldOptions options;
    options.seed = seed;
    options.ports = 2;
    World world(options);
    Multipath host(world, 1, 0, 512);
    world.start_host([&] { host.run(200); });
    world.start_host([&] { host.keep_paths(); });
    REQUIRE(world.wait([&] { return host.completed() >= 50; }));
    world.remove_device();
    CHECK(world.wait([&] { return world.hosts_are_done(); }));
    CHECK(host.completed() == 200);
    world.return_device(options.profile);
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

}  // namespace
}  // namespace nvmf::simulation
