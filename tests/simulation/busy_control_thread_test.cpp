// The control thread does the admin commands of all hosts, and everything else between them: timers, connections, the
// API.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/simulation/host.h"
#include "tests/simulation/world.h"

using namespace nvmf;
using namespace nvmf::simulation;

namespace {

constexpr uint64_t kCallNs = 5'000;
constexpr uint8_t kHosts = 6;
constexpr uint64_t kFloodNs = 100'000'000;
// Much more than the turns that another one's admin commands have before it, much less than the flood.
constexpr uint64_t kBoundNs = 2'000'000;

nvme::Sqe identify() {
  nvme::Sqe sqe{};
  sqe.opcode = nvme_admin_identify;
  sqe.cdw10 = NVME_IDENTIFY_CNS_CTRL;
  return sqe;
}

}  // namespace

TEST_CASE(
    "hosts flood their admin queues: whoever asks for the status has it at once, and the others have their answers") {
  World world({});
  bool goes_on = true;
  unsigned floods = 0;
  uint64_t answered = 0;
  const auto flood = [&](uint8_t number) {
    Host host(world, {.nqn = "nqn.2024-01.org.example:host-" + std::to_string(number), .hostid = number});
    if (!host.bring_up()) return world.fabric.fault(host.failure);
    ++floods;
    while (goes_on && host.admin().state() == HostQueue::State::Connected) {
      host.admin().turn();
      for (const uint16_t cid : host.admin().answered()) {
        host.admin().take(cid);
        ++answered;
      }
      while (host.admin().has_room()) host.admin().send(identify(), Direction::ToHost, Bytes(4096));
      Fiber::yield();
    }
    host.leave();
  };
  for (uint8_t number = 1; number <= kHosts; ++number) world.start_host([&, number] { flood(number); });
  REQUIRE(world.wait([&] { return floods == kHosts; }));
  world.charge_control_thread(kCallNs);

  const uint64_t begin_ns = world.fabric.now_ns();
  uint64_t longest_ns = 0;
  while (world.fabric.now_ns() - begin_ns < kFloodNs) {
    const auto taken_ns = world.time_on_control_thread([] {});
    REQUIRE(taken_ns);
    longest_ns = std::max(longest_ns, *taken_ns);
  }
  CAPTURE(answered);
  CHECK(longest_ns < kBoundNs);
  CHECK(answered > 1000);
  goes_on = false;
  CHECK(world.wait([&] { return world.hosts_are_done(); }));
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}
