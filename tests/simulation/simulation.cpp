#include "tests/simulation/simulation.h"

#include <algorithm>
#include <memory>

#include "tests/simulation/authenticating.h"
#include "tests/simulation/hostile.h"
#include "tests/simulation/workload.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kMostNs = 120'000'000'000;

// What a seed stands for.
struct Plan {
  WorldOptions world;
  unsigned honest;
  std::vector<Hostility> hostile;
  uint64_t disk_ns;
  unsigned disk_errors_percent;
  bool disk_hangs;
  bool device_goes;
  unsigned authenticating;  // of the honest hosts, the first ones
  std::vector<Imposture> impostors;
  std::string words;
};

Plan plan_of(uint64_t seed) {
  // Apart from the fabric's own numbers: another plan is not another order.
  rnic::Random random(seed ^ 0x5eed);
  Plan plan{};
  plan.world.seed = seed;
  // An iWARP device's READ sinks need a right that the transport does not ask for yet.
  do {
    plan.world.profile = rnic::all_profiles()[random.below(rnic::all_profiles().size())];
  } while (plan.world.profile.read_sink_needs_remote_write);
  plan.world.reactors = static_cast<unsigned>(1 + random.below(3));
  plan.world.poll_us = random.chance(50) ? 0 : static_cast<uint32_t>(random.below(50));
  plan.world.dram_pool_bytes = static_cast<uint32_t>(512 << 10) << random.below(4);
  plan.world.initial_slots = static_cast<uint32_t>(16 << random.below(4));
  plan.honest = static_cast<unsigned>(1 + random.below(4));
  if (random.chance(60))
    for (uint64_t left = 1 + random.below(3); left != 0; --left)
      plan.hostile.push_back(static_cast<Hostility>(random.below(kHostilities)));
  plan.disk_ns = 5'000u << random.below(7);
  plan.disk_errors_percent = random.chance(15) ? 5 : 0;
  plan.disk_hangs = random.chance(10);
  plan.device_goes = random.chance(15);
  plan.authenticating = random.chance(50) ? static_cast<unsigned>(1 + random.below(plan.honest)) : 0;
  for (uint64_t left = plan.authenticating != 0 ? random.below(3) : 0; left != 0; --left)
    plan.impostors.push_back(static_cast<Imposture>(random.below(kImpostures)));
  plan.words = plan.world.profile.name + ", " + std::to_string(plan.world.reactors) + " reactors, " +
               std::to_string(plan.honest) + " honest and " + std::to_string(plan.hostile.size()) + " hostile hosts" +
               (plan.authenticating ? ", " + std::to_string(plan.authenticating) + " of them authenticate" : "") +
               (plan.impostors.empty() ? "" : ", " + std::to_string(plan.impostors.size()) + " impostors") +
               (plan.disk_errors_percent ? ", disk errors" : "") + (plan.disk_hangs ? ", a hung disk" : "") +
               (plan.device_goes ? ", the device goes" : "");
  return plan;
}

// What an operator, or fate, does meanwhile.
void disturb(World& world, const Plan& plan) {
  rnic::Random& random = world.fabric.schedule().random();
  const auto pause = [&](uint64_t ns) {
    const uint64_t until = world.fabric.now_ns() + ns;
    world.wait([&] { return world.fabric.now_ns() >= until; });
  };
  pause(2'000'000 + random.below(30'000'000));
  if (plan.disk_hangs) {
    world.fabric.note("the disk hangs");
    world.disk.hang(true);
    pause(50'000'000);
    world.disk.hang(false);
    world.fabric.note("the disk goes on");
  }
  if (plan.device_goes) {
    world.remove_device();
    if (!world.wait([&] { return world.transport()->rnics().empty(); }))
      return world.fabric.fault("a removed device was not let go of");
    pause(1'000'000);
    world.fabric.note("the device returns");
    world.return_device(plan.world.profile);
    if (!world.wait([&] { return world.is_in_service(); })) world.fabric.fault("a device that is back does not serve");
    world.fabric.note("the device serves again");
  }
}

}  // namespace

Outcome simulate(uint64_t seed) {
  const Plan plan = plan_of(seed);
  Outcome outcome;
  outcome.what = plan.words;
  Authenticators authenticators;
  World world(plan.world);
  const auto nqn_of = [](unsigned i) { return "nqn.2024-01.org.example:host-" + std::to_string(i + 1); };
  std::vector<std::string> with_keys;
  for (unsigned i = 0; i < plan.authenticating; ++i) with_keys.push_back(nqn_of(i));
  if (!with_keys.empty()) authenticators.attach(world, with_keys);
  world.disk.typical_ns = plan.disk_ns;
  world.disk.errors_percent = plan.disk_errors_percent;

  std::vector<std::unique_ptr<Workload>> workloads;
  const uint64_t blocks_each = World::kBlocks / (plan.honest + 1);
  const auto start_honest = [&](unsigned i) {
    WorkloadOptions options;
    options.number = i + 1;
    options.host.nqn = nqn_of(i);
    if (i < plan.authenticating) options.host.authenticate = authenticators.honest(options.host.nqn);
    options.host.hostid = static_cast<uint8_t>(i + 1);
    options.host.io_queues = static_cast<uint16_t>(1 + (seed + i) % 2);
    options.host.invalidates = plan.world.profile.remote_invalidate == rnic::RemoteInvalidate::Works;
    options.bound_ns = plan.disk_hangs ? 0 : options.bound_ns;
    workloads.push_back(std::make_unique<Workload>(world, options, i * blocks_each, blocks_each));
    world.start_host([&workload = *workloads.back()] { workload.run(); });
  };
  for (unsigned i = 0; i < plan.honest; ++i) start_honest(i);
  for (size_t i = 0; i < plan.hostile.size(); ++i)
    world.start_host(
        [&world, how = plan.hostile[i], number = static_cast<uint32_t>(100 + i)] { be_hostile(world, how, number); });
  for (const Imposture how : plan.impostors)
    world.start_host([&authenticators, how, victim = HostOptions{.nqn = nqn_of(0), .hostid = 1}] {
      authenticators.be_impostor(how, victim);
    });
  if (plan.disk_hangs || plan.device_goes) world.start_host([&world, &plan] { disturb(world, plan); });

  const auto over = [&] { return world.hosts_are_done() || !world.fabric.faults().empty(); };
  if (!world.wait(over, kMostNs)) world.fabric.fault("the hosts do not come to an end");
  // Whatever the others did, there is room for one more; and what they took with them is found when it ends.
  if (world.fabric.faults().empty()) start_honest(plan.honest);
  if (!world.wait(over, kMostNs)) world.fabric.fault("the last host does not come to an end");
  if (world.fabric.faults().empty()) world.check_quiet();
  outcome.faults = world.fabric.faults();
  if (!outcome.faults.empty()) outcome.story = world.fabric.story();
  for (const auto& workload : workloads) outcome.commands += workload->completed();
  outcome.connections = world.transport()->counters().accepted;
  return outcome;
}

}  // namespace nvmf::simulation
