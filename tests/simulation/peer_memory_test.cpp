// Peer memory that is taken away while commands use it.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "tests/simulation/host.h"
#include "tests/simulation/multipath.h"
#include "tests/simulation/workload.h"

namespace nvmf::simulation {
namespace {

WorldOptions with_cmb() {
  WorldOptions options;
  options.cmb_bytes = 1 << 20;
  return options;
}

std::string verdict(World& world, uint32_t nsid = World::kNsid) {
  return world.control_plane().storage().find(World::kNqn, nsid)->p2p.verdict;
}

// Of a namespace, since its beginning.
uint64_t count(World& world, const std::function<const core::Counter&(const core::IoCounters&)>& of,
               uint32_t nsid = World::kNsid) {
  const daemon::ServedNamespace& served = *world.control_plane().storage().find(World::kNqn, nsid);
  uint64_t total = of(served.past).get();
  for (const daemon::OnGroup& place : served.on_groups) total += of(place.view->counters).get();
  return total;
}

uint64_t reads_through_cmb(World& world) {
  return count(world, [](const core::IoCounters& counters) -> const core::Counter& {
    return counters.reads[static_cast<size_t>(core::DataPath::Cmb)].commands;
  });
}

uint64_t reads_at_other_mtus(World& world) {
  return count(world, [](const core::IoCounters& counters) -> const core::Counter& {
    return counters.fallbacks[static_cast<size_t>(core::Fallback::PathMtu)].commands;
  });
}

uint64_t refused_reads(World& world) {
  return count(world, [](const core::IoCounters& counters) -> const core::Counter& {
    return counters.fallbacks[static_cast<size_t>(core::Fallback::Refused)].commands;
  });
}

void prove(World& world) {
  bool done = false;
  world.control_plane().prove([&] { done = true; });
  REQUIRE(world.wait([&] { return done; }));
}

std::vector<std::string> findings(World& world) {
  return world.control_plane().peer_memories().prepared().front().pairs.front().proof->findings;
}

uint32_t tried_mtu(World& world) {
  return world.control_plane().peer_memories().prepared().front().pairs.front().proof->active_mtu;
}

TEST_CASE("a port's MTU is raised: nothing goes through the CMB at a path MTU that was not tried, until it was") {
  WorldOptions options = with_cmb();
  options.mtu = IBV_MTU_1024;
  World world(options);
  Host before(world, {});
  REQUIRE_MESSAGE(before.bring_up(), before.failure);
  REQUIRE(before.read(1, 40, 32).ok());
  CHECK(reads_through_cmb(world) == 1);

  world.device->set_mtu(IBV_MTU_4096);
  Host after(world, {.nqn = "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555", .hostid = 0x43});
  REQUIRE_MESSAGE(after.bring_up(), after.failure);
  CHECK(tried_mtu(world) == 1024);
  REQUIRE(after.read(1, 40, 32).ok());
  CHECK(reads_through_cmb(world) == 1);
  CHECK(reads_at_other_mtus(world) == 1);
  REQUIRE(before.read(1, 40, 32).ok());
  CHECK(reads_through_cmb(world) == 2);

  CHECK(world.wait([&] { return tried_mtu(world) == 4096; }));
  REQUIRE(world.wait([&] { return after.read(1, 40, 32).ok() && reads_through_cmb(world) == 3; }));
  REQUIRE(before.read(1, 40, 32).ok());
  CHECK(reads_through_cmb(world) == 4);
  before.leave();
  after.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("no port was up when the self-test was due: it is made when a host has connected") {
  WorldOptions options = with_cmb();
  World world(options);
  world.remove_ssd();
  REQUIRE(world.wait([&] { return world.control_plane().peer_memories().prepared().empty(); }));
  ModelCmb::fail_next_self_test();
  world.return_ssd();
  REQUIRE(world.wait([&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) != nullptr; }));
  CHECK(tried_mtu(world) == 0);
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(world.wait([&] { return verdict(world) == "data goes through the CMB of 0000:01:00.0"; }));
  CHECK(tried_mtu(world) == 4096);
  REQUIRE(host.read(1, 40, 32).ok());
  CHECK(reads_through_cmb(world) == 1);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("the operator repeats the self-test while commands use the CMB: its result decides from then on") {
  World world(with_cmb());
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  const Bytes data(16384, std::byte{0x5a});
  REQUIRE(host.write(1, 40, data).ok());
  for (unsigned i = 0; i < 4; ++i)
    host.io(1).send(transfer_command(nvme_cmd_read, uint64_t{128} * i, 128), Direction::ToHost, Bytes(65536));
  prove(world);
  CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");
  CHECK(refused_reads(world) == 0);

  ModelCmb::fail_next_self_test();
  prove(world);
  CHECK(verdict(world).starts_with("data goes through DRAM: no RNIC passed the self-test"));
  CHECK(host.read(1, 40, 32).data == data);
  CHECK(refused_reads(world) == 1);

  prove(world);
  CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");
  const uint64_t before = reads_through_cmb(world);
  CHECK(host.read(1, 40, 32).data == data);
  CHECK(reads_through_cmb(world) == before + 1);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("the operator wants the self-test of a CMB that has no part left for it: the proof stands, and it is told") {
  WorldOptions options = with_cmb();
  options.cmb_bytes = 128 << 10;
  World world(options);
  prove(world);
  prove(world);
  CHECK(findings(world) ==
        std::vector<std::string>{"the self-test can be repeated only by a restart of the daemon: the "
                                 "CMB is too small to keep a part of it for later self-tests"});
  CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");
  world.check_quiet();
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
        host.io(1).send(transfer_command(i % 2 ? nvme_cmd_read : nvme_cmd_write, uint64_t{128} * i, 128),
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

TEST_CASE("an RNIC that pins dma-bufs cannot use a CMB that cannot be pinned: its hosts are served through DRAM") {
  for (const bool can_be_pinned : {false, true})
    for (const rnic::Profile& profile : {rnic::bnxt_re(), rnic::connectx()}) {
      CAPTURE(profile.name);
      CAPTURE(can_be_pinned);
      WorldOptions options = with_cmb();
      options.profile = profile;
      options.cmb_can_be_pinned = can_be_pinned;
      World world(options);
      Host host(world, {});
      REQUIRE_MESSAGE(host.bring_up(), host.failure);
      CHECK(host.read(1, 0, 128).ok());
      CHECK(reads_through_cmb(world) == (can_be_pinned || !profile.pins_dma_bufs ? 1 : 0));
      host.leave();
      world.check_quiet();
      CHECK(world.fabric.faults() == std::vector<std::string>{});
    }
}

// Without a restart of the target.
void add_second_port(World& world) {
  world.fabric.add_device("rnic1", World::kSecondAddress, rnic::connectx());
  WorldConfig wanted = world.config();
  wanted.addresses.emplace_back(World::kSecondAddress);
  REQUIRE(world.reload(wanted).empty());
}

std::vector<uint64_t> pool_bytes(World& world, const std::string& device) {
  std::vector<uint64_t> sizes;
  const auto prepared = world.control_plane().peer_memories().prepared();
  for (const auto& pair : prepared.front().pairs)
    if (pair.rnic->name() == device)
      for (const core::BufferPool* pool : pair.pools) sizes.push_back(pool->size_bytes());
  return sizes;
}

constexpr uint64_t kSlowDiskNs = 2'000'000;

TEST_CASE("an RNIC comes when the CMB is divided: it gets its part while commands use the CMB, with every byte right") {
  for (const uint64_t seed : {1u, 2u, 3u, 4u}) {
    CAPTURE(seed);
    WorldOptions options = with_cmb();
    options.seed = seed;
    options.reactors = 2;
    World world(options);
    bool enough = false;
    WorkloadOptions early;
    early.commands = 1000;
    early.goes_on = [&] { return !enough; };
    Workload first(world, early, 0, 1024);
    world.start_host([&] { first.run(); });
    REQUIRE(world.wait([&] { return first.completed() >= 20; }));
    CHECK(pool_bytes(world, "rnic0") == std::vector<uint64_t>(2, 480 << 10));

    world.disk.typical_ns = kSlowDiskNs;  // many commands have buffers while these are moved
    add_second_port(world);
    const std::vector<uint64_t> half(2, 240 << 10);
    CHECK(pool_bytes(world, "rnic0") == half);
    CHECK(pool_bytes(world, "rnic1") == half);
    CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");

    const uint64_t before = reads_through_cmb(world);
    WorkloadOptions late;
    late.number = 1;
    late.host = {.nqn = "nqn.2014-08.org.nvmexpress:uuid:22222222-2222-3333-4444-555555555555",
                 .hostid = 0x43,
                 .target = World::kSecondAddress};
    Workload second(world, late, 1024, 1024);
    world.start_host([&] { second.run(); });
    CHECK(world.wait([&] { return second.completed() >= 60; }));
    CHECK(reads_through_cmb(world) > before);
    enough = true;
    CHECK(world.wait([&] { return world.hosts_are_done(); }));
    CHECK(refused_reads(world) == 0);
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }
}

TEST_CASE(
    "an RNIC comes while a device hangs with the CMB: nobody waits for it, and the RNIC has its part when asked") {
  World world(with_cmb());
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  world.disk.hang(true);
  const uint16_t read = host.io(1).send(transfer_command(nvme_cmd_read, 0, 128), Direction::ToHost, Bytes(65536));
  REQUIRE(world.wait([&] { return world.disk.in_flight() == 1; }));
  const std::vector<uint64_t> whole = pool_bytes(world, "rnic0");
  add_second_port(world);
  CHECK(pool_bytes(world, "rnic0") == whole);
  CHECK(pool_bytes(world, "rnic1").empty());
  const auto pairs = world.control_plane().peer_memories().prepared().front().pairs;
  REQUIRE(pairs.size() == 2);
  CHECK(pairs.back().proof->findings.back().find("do not end at their devices") != std::string::npos);
  CHECK(world.reload(world.config()).empty());
  world.disk.hang(false);
  CHECK(world.wait([&] { return host.io(1).turn(), host.io(1).answer(read).has_value(); }));
  prove(world);
  CHECK(pool_bytes(world, "rnic1") == pool_bytes(world, "rnic0"));
  CHECK(pool_bytes(world, "rnic1") < whole);
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("an RNIC comes that cannot use the CMB: the others keep their shares") {
  WorldOptions options = with_cmb();
  options.second_reaches_cmb = false;
  World world(options);
  const std::vector<uint64_t> before = pool_bytes(world, "rnic0");
  add_second_port(world);
  CHECK(pool_bytes(world, "rnic0") == before);
  CHECK(pool_bytes(world, "rnic1").empty());
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE("an RNIC comes when a CMB is divided that is too small to be divided anew: it is told so") {
  WorldOptions options = with_cmb();
  options.cmb_bytes = 128 << 10;
  World world(options);
  const std::vector<uint64_t> before = pool_bytes(world, "rnic0");
  add_second_port(world);
  CHECK(pool_bytes(world, "rnic0") == before);
  const auto pairs = world.control_plane().peer_memories().prepared().front().pairs;
  REQUIRE(pairs.size() == 2);
  CHECK(pairs.back().proof->findings.front().find("only after a restart of the daemon") != std::string::npos);
  world.check_quiet();
}

// A namespace on an SSD of its own, which is to use the CMB of the other one.
constexpr uint32_t kConsumer = 2;

std::string add_consumer(World& world, const std::string& pci_address, ModelDisk** disk = nullptr) {
  ModelDisk& added = world.add_disk("disk2", 512);
  added.pci_address = pci_address;
  if (disk != nullptr) *disk = &added;
  WorldConfig wanted = world.config();
  wanted.namespaces.push_back({.nsid = kConsumer, .disk = "disk2", .uses_cmb = true});
  REQUIRE(world.reload(wanted).empty());
  return verdict(world, kConsumer);
}

// Writes and reads; the commands of each direction that went through the CMB.
using Moved = std::pair<uint64_t, uint64_t>;
Moved through_cmb(World& world, Host& host) {
  const auto commands = [&](auto direction) {
    return count(
        world,
        [=](const core::IoCounters& counters) -> const core::Counter& {
          return (counters.*direction)[static_cast<size_t>(core::DataPath::Cmb)].commands;
        },
        kConsumer);
  };
  const auto all = [&] { return Moved(commands(&core::IoCounters::reads), commands(&core::IoCounters::writes)); };
  const Moved before = all();
  const Bytes data(16384, std::byte{0x5a});
  const auto command = [](uint8_t opcode) { return transfer_command(opcode, 40, 32, kConsumer); };
  CHECK(host.run(host.io(1), command(nvme_cmd_write), Direction::ToController, data).ok());
  CHECK(host.run(host.io(1), command(nvme_cmd_read), Direction::ToHost, Bytes(16384)).data == data);
  const Moved after = all();
  return {after.first - before.first, after.second - before.second};
}

TEST_CASE("a namespace uses the CMB of another SSD: in the directions that its own SSD was proved to move data in") {
  World world(with_cmb());
  Host host(world, {});
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(add_consumer(world, "0000:02:00.0") == "data goes through the CMB of 0000:01:00.0");
  CHECK(through_cmb(world, host) == Moved(1, 1));

  world.cmb().set_consumers(true, false);
  prove(world);
  CHECK(verdict(world, kConsumer) ==
        "data of host reads goes through the CMB of 0000:01:00.0, data of host writes through DRAM: the root complex "
        "drops it");
  CHECK(through_cmb(world, host) == Moved(1, 0));

  world.cmb().set_consumers(false, true);
  prove(world);
  CHECK(through_cmb(world, host) == Moved(0, 1));

  world.cmb().set_consumers(false, false);
  prove(world);
  CHECK(verdict(world, kConsumer) ==
        "data goes through DRAM: the SSD at 0000:02:00.0 did not pass the self-test with the CMB of 0000:01:00.0: the "
        "root complex drops it");
  CHECK(through_cmb(world, host) == Moved(0, 0));
  CHECK(verdict(world) == "data goes through the CMB of 0000:01:00.0");

  world.cmb().set_consumers(true, true);
  prove(world);
  CHECK(verdict(world, kConsumer) == "data goes through the CMB of 0000:01:00.0");
  CHECK(through_cmb(world, host) == Moved(1, 1));
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

TEST_CASE(
    "an SSD is back while another one still works with its CMB: a namespace that demands the CMB is served then") {
  World world(with_cmb());
  WorldConfig wanted = world.config();
  wanted.namespaces.front().requires_cmb = true;
  REQUIRE(world.reload(wanted).empty());
  ModelDisk* other = nullptr;
  REQUIRE(add_consumer(world, "0000:02:00.0", &other) == "data goes through the CMB of 0000:01:00.0");
  const auto is_served = [&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) != nullptr; };
  {
    Host host(world, {});
    REQUIRE_MESSAGE(host.bring_up(), host.failure);
    other->hang(true);
    host.io(1).send(transfer_command(nvme_cmd_read, 0, 8, kConsumer), Direction::ToHost, Bytes(4096));
    REQUIRE(world.wait([&] { return other->in_flight() == 1; }));
    world.remove_ssd();
    REQUIRE(world.wait([&] { return !is_served(); }));
    world.return_ssd();
    CHECK_FALSE(world.wait(is_served, 1'000'000'000));
    CHECK(world.control_plane().missing_namespaces() == 1);
    other->hang(false);
    CHECK(world.wait(is_served));
    CHECK(world.control_plane().missing_namespaces() == 0);
    host.vanish();
  }
  CHECK(world.shut_down());
}

TEST_CASE(
    "the only RNIC that reaches a CMB has gone: a namespace that demands the CMB is missing, and counted as such") {
  WorldOptions options = with_cmb();
  options.ports = 2;
  options.second_reaches_cmb = false;
  World world(options);
  WorldConfig wanted = world.config();
  wanted.namespaces.front().requires_cmb = true;
  wanted.namespaces.push_back({.nsid = 2, .disk = "disk2"});
  REQUIRE(world.reload(wanted).empty());
  CHECK(world.control_plane().missing_namespaces() == 1);
  world.remove_device();
  REQUIRE(world.wait([&] { return world.transport()->rnics().size() == 1; }));
  const auto is_served = [&](uint32_t nsid) {
    return world.control_plane().storage().find(World::kNqn, nsid) != nullptr;
  };
  world.add_disk("disk2", 512);
  REQUIRE(world.wait([&] { return is_served(2); }));
  REQUIRE(world.wait([&] { return !is_served(World::kNsid); }));
  CHECK(world.wait([&] { return world.control_plane().missing_namespaces() == 1; }));
  CHECK(world.shut_down());
}

TEST_CASE("a device that is no SSD is to use a CMB: it cannot be tested, so its data goes through DRAM") {
  World world(with_cmb());
  CHECK(add_consumer(world, "") ==
        "data goes through DRAM: the device is not an SSD with a PCI address, so its access to the CMB of 0000:01:00.0 "
        "cannot be tested");
  world.check_quiet();
}

TEST_CASE("ANA by topology: hosts are to prefer the port whose RNIC reaches the CMB, as long as there is one") {
  using core::AnaState;
  WorldOptions options = with_cmb();
  options.ports = 2;
  options.second_reaches_cmb = false;
  World world(options);
  const auto port_2_is = [&](AnaState wanted) {
    return world.wait([&] {
      const core::AnaStates& ana = world.subsystem().ana();
      return ana.state(World::kNsid, 1) == AnaState::Optimized && ana.state(World::kNsid, 2) == wanted;
    });
  };
  const WorldConfig before = world.config();
  WorldConfig wanted = before;
  wanted.ana_by_topology = true;
  REQUIRE(world.reload(wanted).empty());
  CHECK(port_2_is(AnaState::NonOptimized));
  world.remove_device();
  CHECK(port_2_is(AnaState::Optimized));
  world.return_device(options.profile);
  CHECK(port_2_is(AnaState::NonOptimized));
  world.remove_ssd();
  CHECK(port_2_is(AnaState::Optimized));
  world.return_ssd();
  CHECK(port_2_is(AnaState::NonOptimized));
  world.control_plane().ports().drain(World::kPort);
  CHECK(world.wait([&] { return world.subsystem().ana().state(World::kNsid, 2) == AnaState::Optimized; }));
  world.control_plane().ports().resume(World::kPort);
  CHECK(port_2_is(AnaState::NonOptimized));
  REQUIRE(world.reload(before).empty());
  CHECK(port_2_is(AnaState::Optimized));
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
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
