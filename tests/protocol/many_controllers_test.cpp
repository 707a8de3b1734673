// What concerns very many controllers at once is done a part each turn of the control thread: in each call of expire().
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using Clock = core::Target::Clock;

constexpr size_t kHosts = 50;
constexpr size_t kMostOfATurn = 16;

std::string nqn_of(size_t number) {
  return "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-" + std::to_string(100'000'000'000 + number);
}

struct Crowd {
  World world;
  std::vector<std::unique_ptr<Host>> hosts;

  explicit Crowd(uint16_t io_queues = 0) {
    world.subsystem.set_max_controllers(kHosts, kHosts);
    for (size_t i = 0; i < kHosts; ++i) {
      hosts.push_back(std::make_unique<Host>(world, nqn_of(i)));
      hosts.back()->hostid[1] = static_cast<uint8_t>(i);
      hosts.back()->bring_up(io_queues);
    }
  }
  size_t disconnected() const {
    return static_cast<size_t>(std::ranges::count_if(hosts, [](const auto& one) { return one->admin.disconnected(); }));
  }
};

TEST_CASE(
    "a subsystem is reset: all its controllers are closing at once, a few begin to end each turn, newer ones stay") {
  Crowd crowd;
  crowd.world.subsystem.reset(crowd.hosts.front()->controller());
  CHECK(crowd.disconnected() <= kMostOfATurn);
  for (const auto& controller : crowd.world.subsystem.controllers()) CHECK(controller->is_closing());
  Host late(crowd.world, nqn_of(kHosts));
  late.bring_up();  // they take nobody's room any more

  const auto now = Clock::now();
  size_t before = crowd.disconnected();
  for (size_t turn = 0; turn < kHosts && before != kHosts; ++turn) {
    const auto next = crowd.world.target.expire(now);
    CHECK(crowd.disconnected() - before <= kMostOfATurn);
    before = crowd.disconnected();
    if (before != kHosts) CHECK(next == now);
  }
  CHECK(before == kHosts);
  crowd.world.target.expire(now);
  CHECK_FALSE(late.admin.disconnected());
  CHECK_FALSE(late.controller().is_closing());
}

TEST_CASE(
    "very many hosts wait for their former controllers: a few Connects are tried each turn, and none is forgotten") {
  Crowd crowd(1);
  crowd.world.disk_1.hold = true;
  for (const auto& host : crowd.hosts) host->io(1).post(command(nvme_cmd_write, 1), Bytes(512));
  for (const auto& host : crowd.hosts) host->controller().fail("the operator disconnects it");
  std::vector<std::unique_ptr<Host>> again;
  std::vector<size_t> connects;
  for (size_t i = 0; i < kHosts; ++i) {
    again.push_back(std::make_unique<Host>(crowd.world, nqn_of(i)));
    again.back()->hostid = crowd.hosts[i]->hostid;
    const auto data = to_bytes(again.back()->connect_data(World::kNqn));
    connects.push_back(again.back()->admin.post(connect_command(0, kAdminSqsize), data));
  }
  const auto answered = [&] {
    size_t count = 0;
    for (size_t i = 0; i < kHosts; ++i) count += again[i]->admin.answered(connects[i]) ? 1 : 0;
    return count;
  };
  CHECK(answered() == 0);
  crowd.world.disk_1.complete_all();
  const auto now = Clock::now();
  size_t before = 0;
  for (size_t turn = 0; turn < kHosts && before != kHosts; ++turn) {
    crowd.world.target.expire(now);
    CHECK(answered() - before <= kMostOfATurn);
    before = answered();
  }
  CHECK(before == kHosts);
  for (size_t i = 0; i < kHosts; ++i) CHECK(again[i]->admin.take(connects[i]).ok());
}

TEST_CASE("the controllers of one host are found among very many") {
  Crowd crowd;
  const core::HostIdentity host = crowd.hosts.front()->controller().host();
  Host second(crowd.world, nqn_of(0), 2);
  second.hostid = crowd.hosts.front()->hostid;
  crowd.world.subsystem.set_max_controllers(kHosts + 1, kHosts + 1);
  second.bring_up();
  const core::Controller* const both[] = {&crowd.hosts.front()->controller(), &second.controller()};
  CHECK(std::ranges::equal(crowd.world.subsystem.controllers_of(host), both));
  for (Host* one : {crowd.hosts.front().get(), &second}) {
    one->controller().fail("the operator disconnects it");
    one->admin.close();
  }
  CHECK(crowd.world.subsystem.controllers_of(host).empty());
  CHECK(crowd.world.subsystem.controllers_of({.nqn = nqn_of(kHosts), .id = {}}).empty());
}

TEST_CASE("identifiers of controllers are given out in turn, over those in use") {
  World world;
  world.subsystem.set_max_controllers(4, 4);
  std::vector<std::unique_ptr<Host>> hosts;
  for (size_t i = 0; i < 4; ++i) {
    hosts.push_back(std::make_unique<Host>(world, nqn_of(i)));
    hosts.back()->bring_up();
    CHECK(world.subsystem.find_controller(hosts.back()->cntlid) == &hosts.back()->controller());
  }
  for (size_t i = 1; i < 4; ++i) CHECK(hosts[i]->cntlid == hosts[i - 1]->cntlid + 1);
  CHECK(world.subsystem.find_controller(static_cast<uint16_t>(hosts.back()->cntlid + 1)) == nullptr);
}

}  // namespace
}  // namespace nvmf::test
