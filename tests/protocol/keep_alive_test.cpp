// Keep Alive: NVMe Base 2.0, sections 3.9 and 5.18.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using std::chrono::milliseconds;
using Clock = core::Target::Clock;

TEST_CASE("a host that asks for no timer lives for ever") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK_FALSE(world.target.expire(Clock::now() + std::chrono::hours(10000)).has_value());
  CHECK_FALSE(host.admin.disconnected());
}

TEST_CASE("a host that falls silent: fatal status, every queue disconnected, an event that names it") {
  World world;
  Host host(world);
  host.bring_up(2, World::kNqn, 1000);
  host.admin.send(command(nvme_admin_keep_alive));
  const Clock::time_point now = Clock::now();
  const auto deadline = world.target.expire(now);
  REQUIRE(deadline.has_value());
  CHECK(*deadline <= now + milliseconds(1100));
  CHECK(*deadline > now + milliseconds(900));
  CHECK_FALSE(host.admin.disconnected());

  CHECK(world.target.counters.keep_alive_expiries == 0);
  CHECK_FALSE(world.target.expire(*deadline).has_value());
  CHECK(world.target.counters.keep_alive_expiries == 1);
  CHECK(host.admin.disconnected());
  CHECK(host.io(1).disconnected());
  CHECK(host.io(2).disconnected());
  CHECK(host.admin.reason().find("keep-alive") != std::string::npos);
  CHECK((host.controller().properties().csts() & 2) != 0);
  CHECK(host.io(1).drops(command(nvme_cmd_flush, 1)));
  CHECK(host.admin.drops(command(nvme_admin_keep_alive)));
  const std::string& line = world.events.back();
  CHECK(line.find(World::kHostNqn) != std::string::npos);
  CHECK(line.find(World::kNqn) != std::string::npos);
  CHECK(line.find("192.0.2.7:41512") != std::string::npos);
  CHECK(line.find("1000 ms") != std::string::npos);
}

TEST_CASE("host sends Keep Alive: the timer starts again, and the flag of earlier traffic is gone") {
  World world;
  Host host(world);
  host.bring_up(0, World::kNqn, 1000);
  CHECK(host.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK_FALSE(host.admin.queue.saw_command.load());
  const auto deadline = world.target.expire(Clock::now());
  world.target.expire(*deadline);
  CHECK(host.admin.disconnected());
}

TEST_CASE("I/O keeps a controller alive (traffic based)") {
  World world;
  Host host(world);
  host.bring_up(1, World::kNqn, 1000);
  host.admin.send(command(nvme_admin_keep_alive));
  const auto first = world.target.expire(Clock::now());
  host.io(1).send(command(nvme_cmd_read, 1), Bytes(512));
  const auto second = world.target.expire(*first);
  REQUIRE(second.has_value());
  CHECK(*second == *first + milliseconds(1100));
  CHECK_FALSE(host.admin.disconnected());
  world.target.expire(*second);
  CHECK(host.admin.disconnected());
}

TEST_CASE("host turns the timer off: it does not expire") {
  World world;
  Host host(world);
  host.bring_up(0, World::kNqn, 1000);
  CHECK(host.set_feature(NVME_FEAT_FID_KATO, 0).ok());
  CHECK_FALSE(world.target.expire(Clock::now() + milliseconds(100000)).has_value());
}

TEST_CASE("whoever runs the timers hears of earlier deadlines only") {
  std::vector<Clock::time_point> deadlines;  // the hosts' end adds to it, too
  World world;
  world.target.on_earlier_deadline = [&](Clock::time_point deadline) { deadlines.push_back(deadline); };
  Host slow(world), slower(world), quick(world);
  slow.connect(World::kNqn, 10000);
  CHECK(deadlines.size() == 1);
  slower.connect(World::kNqn, 20000);
  CHECK(deadlines.size() == 1);
  quick.connect(World::kNqn, 5000);
  CHECK(deadlines.size() == 2);
  const auto next = world.target.expire(Clock::now());
  REQUIRE(next.has_value());
  CHECK(*next == deadlines.back());
}

TEST_CASE("a discovery controller without a timer is closed after two minutes of silence") {
  World world;
  Host host(world);
  host.bring_up(0, nvme::kDiscoveryNqn);
  CHECK(host.get_feature(NVME_FEAT_FID_KATO).result == 0);
  const Clock::time_point now = Clock::now();
  world.target.expire(now + std::chrono::seconds(119));
  const auto later = world.target.expire(now + std::chrono::seconds(121));
  REQUIRE(later.has_value());  // it has just sent Get Features
  world.target.expire(*later);
  CHECK(host.admin.disconnected());
}

TEST_CASE("host sends Keep Alive without a timer: success") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.admin.send(command(nvme_admin_keep_alive)).ok());
}

TEST_CASE("an expired controller that closes leaves nothing") {
  World world;
  Host host(world);
  host.bring_up(1, World::kNqn, 1000);
  host.await_event();
  host.admin.send(command(nvme_admin_keep_alive));
  world.target.expire(Clock::now() + std::chrono::seconds(10));
  host.io(1).close();
  host.admin.close();
  CHECK(world.subsystem.controllers().empty());
  CHECK_FALSE(world.target.expire(Clock::now()).has_value());
}

}  // namespace
}  // namespace nvmf::test
