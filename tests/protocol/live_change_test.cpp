// What a target offers changes while hosts are connected.
#include <doctest/doctest.h>

#include <utility>

#include "target/core/datapath/limits.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

constexpr uint32_t kNamespaces = NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES;

// A connected host that awaits an event about namespaces.
struct Listener : Host {
  explicit Listener(World& world_of_host) : Host(world_of_host) {
    bring_up();
    set_feature(NVME_FEAT_FID_ASYNC_EVENT, kNamespaces);
    awaited = await_event();
  }
  uint32_t changed_namespace() {
    REQUIRE(admin.answered(awaited));
    return log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>().ns[0];
  }
  size_t awaited = 0;
};

}  // namespace

TEST_CASE("a namespace is removed: hosts hear of it and see it no more") {
  World world;
  Listener host(world);
  world.subsystem.remove_namespace(3);
  CHECK(host.changed_namespace() == 3);
  const auto list = host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>();
  CHECK(list.ns[0] == 1);
  CHECK(list.ns[1] == 0);
}

TEST_CASE("a namespace gets another size: hosts hear of it and see it") {
  World world;
  Listener host(world);
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  options.block_count = 4711;
  world.subsystem.change_namespace(options);
  CHECK(host.changed_namespace() == 1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().nsze == 4711);
}

TEST_CASE("a namespace changes twice before its host reads the log: it is there once") {
  World world;
  Listener host(world);
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  for (const uint64_t blocks : {4711u, 4712u}) {
    options.block_count = blocks;
    world.subsystem.change_namespace(options);
  }
  REQUIRE(host.admin.answered(host.awaited));
  const auto list = host.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>();
  CHECK(list.ns[0] == 1);
  CHECK(list.ns[1] == 0);
}

TEST_CASE("a namespace is hidden from a host and shown again: it hears of both, and is served only when it sees it") {
  World world;
  Listener host(world);
  REQUIRE(host.connect_io(1).ok());
  core::NamespaceOptions options = *world.subsystem.find_namespace(3);
  options.visible_to = {"nqn.2024-01.org.example:other"};
  world.subsystem.change_namespace(options);
  CHECK(host.changed_namespace() == 3);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[1] == 0);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 3).data == Bytes(4096));
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS_DESC_LIST, 3).status == NVME_SC_INVALID_NS);
  CHECK(host.set_feature(NVME_FEAT_FID_ERR_RECOVERY, 0, 3).status == NVME_SC_INVALID_NS);
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).status == NVME_SC_INVALID_NS);
  host.awaited = host.await_event();

  options.block_count = 17;
  world.subsystem.change_namespace(options);
  CHECK_FALSE(host.admin.answered(host.awaited));

  options.visible_to.push_back(World::kHostNqn);
  world.subsystem.change_namespace(options);
  CHECK(host.changed_namespace() == 3);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 3).as<nvme_id_ns>().nsze == 17);
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).ok());
}

TEST_CASE("a hidden namespace is removed: it is hidden while queues still have it; the next one of its number is not") {
  World world;
  Host host(world);
  host.bring_up(1);
  core::NamespaceOptions options = *world.subsystem.find_namespace(3);
  options.visible_to = {"nqn.2024-01.org.example:other"};
  options.write_protected = true;
  world.subsystem.change_namespace(options);
  world.subsystem.remove_namespace(3);
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).status == NVME_SC_INVALID_NS);
  options.visible_to.clear();
  options.write_protected = false;
  world.subsystem.add_namespace(options);
  CHECK(host.io(1).send(command(nvme_cmd_read, 3), Bytes(4096)).ok());
  CHECK(host.io(1).send(command(nvme_cmd_write, 3), Bytes(4096)).ok());
}

TEST_CASE("a namespace is hidden from all but one host: a new host does not see it, that one does") {
  World world;
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  options.visible_to = {World::kHostNqn};
  world.subsystem.change_namespace(options);
  Host friendly(world);
  Host stranger(world, "nqn.2024-01.org.example:stranger");
  friendly.bring_up();
  stranger.bring_up();
  CHECK(friendly.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[0] == 1);
  CHECK(stranger.identify(NVME_IDENTIFY_CNS_NS_ACTIVE_LIST).as<nvme_ns_list>().ns[0] == 3);
}

TEST_CASE("a namespace becomes read-only: Identify says so, writes get Namespace Is Write Protected") {
  World world;
  Listener host(world);
  REQUIRE(host.connect_io(1).ok());
  core::NamespaceOptions options = *world.subsystem.find_namespace(1);
  options.write_protected = true;
  world.subsystem.change_namespace(options);
  CHECK(host.changed_namespace() == 1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().nsattr == 1);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS, 1).as<nvme_id_independent_id_ns>().nsattr == 1);
  CHECK(host.io(1).send(command(nvme_cmd_write, 1), Bytes(512)).status == NVME_SC_NS_WRITE_PROTECTED);
  CHECK(host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
}

TEST_CASE("a host is not allowed any more: it is disconnected and cannot come back") {
  World world;
  Host host(world);
  host.bring_up(1);
  world.subsystem.set_allowed_hosts(false, {"nqn.2024-01.org.example:other"});
  CHECK(host.admin.disconnected());
  CHECK(host.io(1).disconnected());
  Host again(world);
  CHECK(again.connect().status == specific(NVME_SC_CONNECT_INVALID_HOST));
}

TEST_CASE("the allowed hosts change, but not for this one: it stays connected") {
  World world;
  Host host(world);
  host.bring_up(1);
  world.subsystem.set_allowed_hosts(false, {World::kHostNqn});
  CHECK_FALSE(host.admin.disconnected());
  CHECK_FALSE(host.io(1).disconnected());
}

TEST_CASE("a subsystem leaves a port, or the port is closed: hosts that came through it are disconnected, others not") {
  World world;
  Host through_1(world, World::kHostNqn, 1);
  Host through_2(world, World::kHostNqn, 2);
  through_1.bring_up();
  through_2.bring_up();
  world.subsystem.set_ports({2});
  CHECK(through_1.admin.disconnected());
  CHECK_FALSE(through_2.admin.disconnected());
  Host discovering_1(world, World::kHostNqn, 1);
  Host discovering_2(world, World::kHostNqn, 2);
  discovering_1.bring_up(0, nvme::kDiscoveryNqn);
  discovering_2.bring_up(0, nvme::kDiscoveryNqn);
  world.target.remove_port(2);
  CHECK(through_2.admin.disconnected());
  CHECK(discovering_2.admin.disconnected());
  CHECK_FALSE(discovering_1.admin.disconnected());
}

TEST_CASE("a subsystem is removed: its hosts are disconnected, and it is gone when the last has left") {
  World world;
  core::Subsystem& added = world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:passing",
                                                       .serial = "SN-0003",
                                                       .model = "Example disks",
                                                       .ports = {1},
                                                       .allow_any_host = true,
                                                       .allowed_hosts = {}});
  Host host(world);
  host.bring_up(0, "nqn.2024-01.org.example:passing");
  world.target.remove_subsystem(added);
  CHECK(host.admin.disconnected());
  CHECK((host.controller().properties().csts() & NVME_CSTS_CFS_MASK << NVME_CSTS_CFS_SHIFT) != 0);
  Host other(world);
  CHECK(other.connect("nqn.2024-01.org.example:passing").status == specific(NVME_SC_CONNECT_INVALID_PARAM));
  host.admin.close();
}

TEST_CASE("one subsystem comes and goes for ever: hosts of another that is gone are still told not to come again") {
  World world;
  const auto add = [&](const std::string& nqn) -> core::Subsystem& {
    return world.target.add_subsystem({.nqn = nqn,
                                       .serial = "SN-0003",
                                       .model = "Example disks",
                                       .ports = {1},
                                       .allow_any_host = true,
                                       .allowed_hosts = {}});
  };
  const std::string gone = "nqn.2024-01.org.example:gone";
  const std::string restless = "nqn.2024-01.org.example:restless";
  world.target.remove_subsystem(add(gone));
  for (size_t i = 0; i <= core::limits::kMaxRemovedSubsystems; ++i) world.target.remove_subsystem(add(restless));
  CHECK(Host(world).connect(gone).do_not_retry);
  CHECK(Host(world).connect(restless).do_not_retry);
  add(restless);
  CHECK_FALSE(world.target.was_removed(restless));
  CHECK(Host(world).connect(restless).ok());
}

TEST_CASE("allowed hosts, ports and subsystems change: discovery has a new generation each time") {
  World world;
  uint64_t generation = world.target.generation();
  const auto is_new = [&] { return std::exchange(generation, world.target.generation()) != generation; };
  world.subsystem.set_allowed_hosts(true, {});
  CHECK(is_new());
  world.subsystem.set_ports({1});
  CHECK(is_new());
  world.target.remove_subsystem(world.other_subsystem);
  CHECK(is_new());
  world.target.remove_port(2);
  CHECK(is_new());
}

}  // namespace nvmf::test
