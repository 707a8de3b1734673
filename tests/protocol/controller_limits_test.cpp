// How many controllers a subsystem makes, and which identifiers they get: NVMe Base 2.0, section 3.1.1.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

TEST_CASE("two targets serve one subsystem: each hands out identifiers of its own range") {
  World world;
  core::Subsystem& shared = world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:shared",
                                                        .serial = "SN-0009",
                                                        .model = "Example disks",
                                                        .ports = {1},
                                                        .allow_any_host = true,
                                                        .allowed_hosts = {},
                                                        .cntlid_min = 100,
                                                        .cntlid_max = 101});
  Host first(world), second(world), third(world);
  first.bring_up(0, shared.nqn());
  CHECK(first.controller().cntlid() == 100);
  const auto id = first.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>();
  CHECK(id.cntlid == 100);
  CHECK((id.cmic & NVME_CTRL_CMIC_MULTI_PORT) != 0);
  CHECK(second.connect(shared.nqn()).result == 101);
  CHECK(third.connect(shared.nqn()).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  first.admin.close();
  Host fourth(world);
  CHECK(fourth.connect(shared.nqn()).result == 100);
}

TEST_CASE("a host connects more often than one host may: Controller Busy; another host connects") {
  World world;
  core::Subsystem& limited = world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:limited",
                                                         .serial = "SN-0009",
                                                         .model = "Example disks",
                                                         .ports = {1},
                                                         .allow_any_host = true,
                                                         .allowed_hosts = {},
                                                         .max_controllers_per_host = 2});
  Host first(world), second(world), third(world);
  Host other(world, "nqn.2024-01.org.example:other-host");
  CHECK(first.connect(limited.nqn()).ok());
  CHECK(second.connect(limited.nqn()).ok());
  const Answer refused = third.connect(limited.nqn());
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(refused.do_not_retry);
  CHECK(other.connect(limited.nqn()).ok());
  first.admin.close();
  Host fourth(world);
  CHECK(fourth.connect(limited.nqn()).ok());
}

constexpr uint32_t kNumberOfQueues = 0x07;
constexpr uint32_t kKatoMs = 100'000;

core::Subsystem& one_per_host(World& world) {
  return world.target.add_subsystem({.nqn = "nqn.2024-01.org.example:limited",
                                     .serial = "SN-0009",
                                     .model = "Example disks",
                                     .ports = {1, 2},
                                     .allow_any_host = true,
                                     .allowed_hosts = {},
                                     .max_controllers_per_host = 1});
}

// As a controller whose host sent its last command long ago: half its Keep Alive Timer, or more.
void fall_silent(Host& host, unsigned percent) {
  host.admin.queue.saw_command = false;
  for (uint16_t qid = 1; qid <= 8; ++qid) host.io(qid).queue.saw_command = false;
  const auto past = std::chrono::milliseconds(kKatoMs / 100 * percent);
  host.controller().set_keep_alive(kKatoMs, core::KeepAlive::Clock::now() - past);
}

TEST_CASE("a host comes back while its old controller is silent: the old one goes, the new one is made") {
  World world;
  core::Subsystem& limited = one_per_host(world);
  Host old(world), again(world);
  old.bring_up(1, limited.nqn(), kKatoMs);
  fall_silent(old, 80);
  CHECK(again.connect(limited.nqn(), kKatoMs).ok());
  CHECK(old.admin.disconnected());
  CHECK(old.io(1).disconnected());
  CHECK(world.events.end()[-2].find("no longer answers") != std::string::npos);
  CHECK(world.events.end()[-2].find(World::kHostNqn) != std::string::npos);
}

TEST_CASE("a host that has several controllers on purpose keeps those that live: Controller Busy") {
  World world;
  core::Subsystem& limited = one_per_host(world);
  Host first(world), second(world);
  first.bring_up(1, limited.nqn(), kKatoMs);
  SUBCASE("it sent Keep Alive half its timer ago") { fall_silent(first, 50); }
  SUBCASE("it sends I/O") {
    fall_silent(first, 80);
    first.io(1).send(command(nvme_cmd_flush, 1));
  }
  SUBCASE("it asked for no timer, so that its silence says nothing") {
    fall_silent(first, 80);
    first.controller().set_keep_alive(0, core::KeepAlive::Clock::now());
  }
  const Answer refused = second.connect(limited.nqn(), kKatoMs);
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(first.admin.disconnected());
  CHECK(world.events.back().find("\"max_controllers_per_host\" is 1") != std::string::npos);
}

TEST_CASE("only a silent controller of the same host and port makes room") {
  World world;
  core::Subsystem& limited = one_per_host(world);
  Host silent(world);
  silent.bring_up(0, limited.nqn(), kKatoMs);
  fall_silent(silent, 80);
  SUBCASE("the host comes by another port") {
    Host by_port_2(world, World::kHostNqn, 2);
    CHECK(by_port_2.connect(limited.nqn()).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  }
  SUBCASE("another machine uses the host's NQN") {
    Host twin(world);
    twin.hostid[0] = 0x43;
    CHECK(twin.connect(limited.nqn()).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  }
  SUBCASE("no limit is reached") {
    Host other(world, "nqn.2024-01.org.example:other-host");
    CHECK(other.connect(limited.nqn()).ok());
  }
  CHECK_FALSE(silent.admin.disconnected());
}

TEST_CASE("a controller whose connection ends already keeps nobody out") {
  World world;
  core::Subsystem& limited = one_per_host(world);
  Host old(world), again(world);
  old.bring_up(0, limited.nqn());
  old.controller().fail("the link was lost");
  CHECK(again.connect(limited.nqn()).ok());
}

TEST_CASE("a controller whose connection ends already does not count against the target's limits") {
  World world;
  world.target.set_limits({.max_controllers = 1, .max_controllers_per_host = 1});
  Host old(world), again(world);
  old.bring_up();
  old.controller().fail("the link was lost");
  CHECK(again.connect().ok());
}

TEST_CASE("the target has its limits of controllers, of all hosts and of one: Controller Busy; discovery is free") {
  World world;
  world.target.set_limits({.max_controllers = 2, .max_controllers_per_host = 1});
  Host first(world), second(world), third(world);
  Host other(world, "nqn.2024-01.org.example:other-host");
  Host late(world, "nqn.2024-01.org.example:late-host");
  CHECK(first.connect().ok());
  CHECK(second.connect(World::kNqn).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK(world.events.back().find("\"limits\".\"max_controllers_per_host\" is 1") != std::string::npos);
  CHECK(other.connect().ok());
  CHECK(late.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK(world.events.back().find("\"limits\".\"max_controllers\" is 2") != std::string::npos);
  CHECK(third.connect(nvme::kDiscoveryNqn).ok());
  world.target.set_limits({});
  Host later(world, "nqn.2024-01.org.example:late-host");
  CHECK(later.connect().ok());
}

TEST_CASE("hosts ask for I/O queues: target grants what is left of its limits, and no I/O queue beyond it") {
  World world;
  world.target.set_limits({.max_io_queues = 5, .max_io_queues_per_host = 4});
  Host first(world), second(world);
  first.bring_up();
  CHECK(first.set_feature(kNumberOfQueues, 2 | 2 << 16).result == (2 | 2 << 16));
  second.bring_up();
  CHECK(second.set_feature(kNumberOfQueues, 7 | 7 << 16).result == 0);  // 4 of this host, 3 are the first's: one
  CHECK(second.connect_io(1).ok());
  CHECK_FALSE(second.connect_io(2).ok());
  for (uint16_t qid = 1; qid <= 3; ++qid) CHECK(first.connect_io(qid).ok());

  Host other(world, "nqn.2024-01.org.example:other-host");
  other.bring_up();
  CHECK(other.connect_io(1).ok());
  const Answer refused = other.connect_io(2);
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(refused.do_not_retry);
  Host late(world, "nqn.2024-01.org.example:late-host");
  CHECK(late.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
}

TEST_CASE("hosts ask for more I/O queues than the RNIC has room for: target grants what is left, until a host goes") {
  World world;
  world.io_queue_room = 5;
  Host first(world), second(world), third(world);
  first.bring_up();
  CHECK(first.set_feature(kNumberOfQueues, 3 | 3 << 16).result == (3 | 3 << 16));
  second.bring_up();
  CHECK(second.set_feature(kNumberOfQueues, 3 | 3 << 16).result == 0);  // one is left
  const Answer refused = third.connect();
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK_FALSE(refused.do_not_retry);
  Host discovery(world);
  CHECK(discovery.connect(nvme::kDiscoveryNqn).ok());
  CHECK(first.set_feature(kNumberOfQueues, 1 | 1 << 16).result == (1 | 1 << 16));
  third.bring_up();
  CHECK(third.set_feature(kNumberOfQueues, 3 | 3 << 16).result == (1 | 1 << 16));
  first.enable(0);
  CHECK(world.io_queue_room == 1);
  second.admin.close();
  third.admin.close();
  CHECK(world.io_queue_room == 4);
}

TEST_CASE("which controllers a port has: I/O queues name theirs") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(world.target.has_controller(host.cntlid, 1));
  CHECK_FALSE(world.target.has_controller(host.cntlid, 2));
  CHECK_FALSE(world.target.has_controller(static_cast<uint16_t>(host.cntlid + 1), 1));
}

}  // namespace
}  // namespace nvmf::test
