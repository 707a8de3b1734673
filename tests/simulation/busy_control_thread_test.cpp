// The control thread does the admin commands of all hosts, and everything else between them: timers, connections, the
// API.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>

#include "tests/simulation/host.h"
#include "tests/simulation/world.h"

using namespace nvmf;
using namespace nvmf::simulation;

namespace {

constexpr uint64_t kCallNs = 5'000;
constexpr uint8_t kFloods = 6;
constexpr uint64_t kFloodNs = 100'000'000;
// Many turns of the control thread each, and much less than the flood.
constexpr uint64_t kStatusBoundNs = 2'000'000;
constexpr uint64_t kSetUpBoundNs = 30'000'000;

HostOptions options_of(uint8_t number) {
  return {.nqn = "nqn.2024-01.org.example:host-" + std::to_string(number), .hostid = static_cast<uint8_t>(number + 1)};
}

nvme::Sqe identify() {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_identify;
  sqe.cdw10 = NVME_IDENTIFY_CNS_CTRL;
  return sqe;
}

// Returns how many answers came.
uint64_t send_all_it_may(HostQueue& queue) {
  queue.turn();
  uint64_t answers = 0;
  for (const uint16_t cid : queue.answered()) {
    queue.take(cid);
    ++answers;
  }
  while (queue.has_room()) queue.send(identify(), Direction::ToHost, Bytes(4096));
  return answers;
}

}  // namespace

// A set-up has a connection request, a Connect and a few admin commands: what timers and the connection manager bring.
TEST_CASE("hosts flood their admin queues: each has answers, the status is there at once, and others come in") {
  World world({});
  bool goes_on = true;
  unsigned floods = 0;
  std::array<uint64_t, kFloods> answers{};
  for (uint8_t number = 0; number < kFloods; ++number)
    world.start_host([&, number] {
      Host host(world, options_of(number));
      if (!host.bring_up()) return world.fabric.fault(host.failure);
      ++floods;
      while (goes_on && host.admin().state() == HostQueue::State::Connected) {
        answers[number] += send_all_it_may(host.admin());
        Fiber::yield();
      }
      host.leave();
    });
  REQUIRE(world.wait([&] { return floods == kFloods; }));
  world.charge_control_thread(kCallNs);
  unsigned set_ups = 0;
  uint64_t longest_set_up_ns = 0;
  world.start_host([&] {
    while (goes_on) {
      const uint64_t begun_ns = world.fabric.now_ns();
      Host host(world, options_of(kFloods));
      if (!host.bring_up()) return world.fabric.fault(host.failure);
      longest_set_up_ns = std::max(longest_set_up_ns, world.fabric.now_ns() - begun_ns);
      ++set_ups;
      host.leave();
    }
  });

  const uint64_t begin_ns = world.fabric.now_ns();
  uint64_t longest_status_ns = 0;
  while (world.fabric.now_ns() - begin_ns < kFloodNs) {
    const auto taken_ns = world.time_on_control_thread([] {});
    REQUIRE(taken_ns);
    longest_status_ns = std::max(longest_status_ns, *taken_ns);
  }
  CHECK(longest_status_ns < kStatusBoundNs);
  CHECK(set_ups > 1);
  CHECK(longest_set_up_ns < kSetUpBoundNs);
  const auto [least, most] = std::ranges::minmax(answers);
  CHECK(least > most / 2);
  goes_on = false;
  CHECK(world.wait([&] { return world.hosts_are_done(); }));
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}
