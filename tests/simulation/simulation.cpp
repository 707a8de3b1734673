#include "tests/simulation/simulation.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "target/core/datapath/limits.h"
#include "tests/simulation/authenticating.h"
#include "tests/simulation/device_events.h"
#include "tests/simulation/hostile.h"
#include "tests/simulation/multipath.h"
#include "tests/simulation/operator.h"
#include "tests/simulation/workload.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kMostNs = 300'000'000'000;

constexpr unsigned kMultipathCommands = 120;
constexpr uint64_t kLongHangNs = 3'000'000'000;  // shorter than hosts' commands may take
constexpr uint64_t kLongestHangNs = 8'000'000'000;
constexpr uint64_t kQuestionsNs = 20'000'000;  // between two

// Whose addresses are whose: an honest host has the one of its number, a hostile one mostly one of its own.
constexpr size_t kGuest = 5;
constexpr size_t kMultipath = 6;
constexpr size_t kFirstHostile = 7;

const char* address_of(size_t host) { return World::kHostAddresses[host]; }

std::string nqn_of(unsigned host) { return "nqn.2024-01.org.example:host-" + std::to_string(host + 1); }

// A host that takes no answers is disconnected after that, and until then has the buffers of its address.
constexpr uint64_t kUntilStalledNs =
    (core::limits::kStalledAnswersMs + 2 * core::limits::kStallCheckMs) * uint64_t{1'000'000};

// What a seed stands for.
struct Plan {
  WorldOptions world;
  size_t profile;
  unsigned honest;
  std::vector<std::pair<Hostility, const char*>> hostile;  // with their addresses
  uint64_t disk_ns;
  unsigned disk_errors_percent;
  bool disk_hangs;
  bool device_goes;
  unsigned authenticating;  // of the honest hosts, the first ones
  std::vector<Imposture> impostors;
  bool ssd_goes;
  bool two_paths;
  unsigned changes;        // that an operator makes
  unsigned device_events;  // that RNICs have
  unsigned questions;      // for the status
  std::string words;
};

Plan plan_of(uint64_t seed, const Settings& settings) {
  // Apart from the fabric's own numbers: another plan is not another order.
  rnic::Random random(seed ^ 0x5eed);
  Plan plan{};
  plan.world.seed = seed;
  plan.profile = random.below(rnic::all_profiles().size());
  for (size_t i = 0; i < rnic::all_profiles().size(); ++i)
    if (rnic::all_profiles()[i].name == settings.profile) plan.profile = i;
  plan.world.profile = rnic::all_profiles()[plan.profile];
  plan.world.profile.slow_destroy_percent = 2;  // where it takes long
  if (random.chance(20)) plan.world.profile.reports_last_wqe = false;
  plan.world.reactors = static_cast<unsigned>(1 + random.below(3));
  plan.world.poll_us = random.chance(50) ? 0 : static_cast<uint32_t>(random.below(50));
  plan.world.dram_pool_bytes = static_cast<uint32_t>(512 << 10) << random.below(4);
  plan.world.initial_slots = static_cast<uint32_t>(16 << random.below(4));
  plan.honest = static_cast<unsigned>(1 + random.below(4));
  if (random.chance(60))
    for (uint64_t left = 1 + random.below(3); left != 0; --left) {
      const auto how = static_cast<Hostility>(random.below(kHostilities));
      plan.hostile.emplace_back(how, address_of(random.chance(20) ? 0 : kFirstHostile + plan.hostile.size()));
    }
  // A hostile host may use up what its address may have, of an honest host with the same address, too.
  const auto is_shared = [](const auto& hostile) { return hostile.second == address_of(0); };
  if (random.chance(15) && std::ranges::none_of(plan.hostile, is_shared))
    plan.world.max_new_controllers_per_s_per_host = static_cast<uint32_t>(5 + random.below(30));
  plan.disk_ns = 5'000u << random.below(7);
  plan.disk_errors_percent = random.chance(15) ? 5 : 0;
  plan.disk_hangs = random.chance(10);
  plan.device_goes = random.chance(15);
  plan.two_paths = random.chance(20);
  plan.world.ports = plan.two_paths ? 2 : 1;
  plan.world.cmb_bytes = random.chance(30) ? size_t{256 << 10} << random.below(3) : 0;
  plan.ssd_goes = random.chance(10);
  plan.changes = random.chance(25) ? static_cast<unsigned>(1 + random.below(6)) : 0;
  plan.device_events = random.chance(25) ? static_cast<unsigned>(1 + random.below(5)) : 0;
  plan.questions = random.chance(40) ? static_cast<unsigned>(1 + random.below(5)) : 0;
  constexpr ibv_mtu kSmallMtus[] = {IBV_MTU_1024, IBV_MTU_2048};
  if (random.chance(30)) plan.world.mtu = kSmallMtus[random.below(2)];
  // An operator's config has no keys.
  plan.authenticating =
      plan.changes == 0 && random.chance(50) ? static_cast<unsigned>(1 + random.below(plan.honest)) : 0;
  for (uint64_t left = plan.authenticating != 0 ? random.below(3) : 0; left != 0; --left)
    plan.impostors.push_back(static_cast<Imposture>(random.below(kImpostures)));
  if (plan.world.cmb_bytes == 0 && !plan.ssd_goes) plan.world.in_memory = random.chance(40);
  plan.world.cmb_can_be_pinned = random.chance(50);
  plan.words = plan.world.profile.name +
               (plan.world.profile.reports_last_wqe ? ", " : ", which does not report the last WQE, ") +
               std::to_string(plan.world.reactors) + " reactors, " + std::to_string(plan.honest) + " honest and " +
               std::to_string(plan.hostile.size()) + " hostile hosts" +
               (plan.authenticating ? ", " + std::to_string(plan.authenticating) + " of them authenticate" : "") +
               (plan.impostors.empty() ? "" : ", " + std::to_string(plan.impostors.size()) + " impostors") +
               (plan.disk_errors_percent ? ", disk errors" : "") + (plan.disk_hangs ? ", a hung disk" : "") +
               (plan.device_goes ? ", the device goes" : "") + (plan.ssd_goes ? ", the SSD goes" : "") +
               (plan.world.cmb_bytes != 0 ? ", a CMB" : "") +
               (plan.world.cmb_bytes != 0 && !plan.world.cmb_can_be_pinned ? " that cannot be pinned" : "") +
               (plan.world.in_memory ? ", in memory" : "") + (plan.world.mtu != IBV_MTU_4096 ? ", a small MTU" : "") +
               (plan.two_paths ? ", two paths" : "") +
               (plan.world.max_new_controllers_per_s_per_host != 0 ? ", a limit of new controllers" : "") +
               (plan.device_events != 0 ? ", " + std::to_string(plan.device_events) + " device events" : "") +
               (plan.changes != 0 ? ", an operator makes " + std::to_string(plan.changes) + " changes" : "");
  return plan;
}

// What an operator, or fate, does meanwhile.
void disturb(World& world, const Plan& plan) {
  rnic::Random& random = world.fabric.schedule().random();
  const auto pause = [&](uint64_t ns) {
    const uint64_t until = world.fabric.now_ns() + ns;
    world.wait([&] { return world.fabric.now_ns() >= until; });
  };
  pause(2'000'000 + random.below(random.chance(70) ? 30'000'000 : 300'000'000));
  if (plan.disk_hangs) {
    world.fabric.note("the disk hangs");
    const Disturbance hangs(world);
    world.disk.hang(true);
    pause(1 + random.below(random.chance(70) ? 50'000'000 : random.chance(70) ? kLongHangNs : kLongestHangNs));
    world.disk.hang(false);
    world.fabric.note("the disk goes on");
  }
  if (plan.ssd_goes) {
    world.fabric.note("the SSD goes");
    world.remove_ssd();
    if (!world.wait([&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) == nullptr; }))
      return world.fabric.fault("a namespace of an SSD that has gone is served");
    pause(20'000'000);
    world.return_ssd();
    if (!world.wait([&] { return world.control_plane().storage().find(World::kNqn, World::kNsid) != nullptr; }))
      return world.fabric.fault("a namespace whose SSD is back is not served");
    world.fabric.note("the SSD is back");
  }
  if (plan.device_goes) {
    world.remove_device();
    if (!world.wait([&] { return world.transport()->rnics().size() < plan.world.ports; }))
      return world.fabric.fault("a removed device was not let go of");
    pause(1'000'000);
    world.fabric.note("the device returns");
    world.return_device(plan.world.profile);
    if (!world.wait([&] { return world.is_in_service(); })) world.fabric.fault("a device that is back does not serve");
    world.fabric.note("the device serves again");
  }
}

}  // namespace

Outcome simulate(uint64_t seed, const Settings& settings) {
  const Plan plan = plan_of(seed, settings);
  Outcome outcome;
  outcome.profile = plan.profile;
  outcome.what = plan.words;
  Authenticators authenticators;
  World world(plan.world);
  world.fabric.entitle(plan.words);
  std::vector<std::string> with_keys;
  for (unsigned i = 0; i < plan.authenticating; ++i) with_keys.push_back(nqn_of(i));
  if (!with_keys.empty()) authenticators.attach(world, with_keys);
  world.disk.typical_ns = plan.disk_ns;
  world.disk.errors_percent = plan.disk_errors_percent;

  std::vector<std::unique_ptr<Workload>> workloads;
  std::unique_ptr<Multipath> multipath;
  std::unique_ptr<Operator> operating;
  const uint64_t blocks_each = World::kBlocks / (plan.honest + 2);
  unsigned others = 0;  // hostile hosts, the operator and fate, as long as they are at work
  const auto start_other = [&](std::function<void()> body) {
    ++others;
    world.start_host([&others, body = std::move(body)] {
      body();
      --others;
    });
  };
  const auto start_honest = [&](unsigned i) {
    WorkloadOptions options;
    options.number = i + 1;
    options.host.nqn = nqn_of(i);
    options.host.address = address_of(i);
    if (i < plan.authenticating) options.host.authenticate = authenticators.honest(options.host.nqn);
    options.host.hostid = static_cast<uint8_t>(i + 1);
    options.host.io_queues = static_cast<uint16_t>(1 + (seed + i) % 2);
    options.host.invalidates = plan.world.profile.remote_invalidate == rnic::RemoteInvalidate::Works;
    options.host.keep_alive_ms = World::kKeepAliveMs;
    // One of them is there all the time, and sees calm return.
    if (i == 0) options.goes_on = [&] { return others != 0 || world.is_disturbed(); };
    options.administers = (seed + i) % 3 == 0;
    const auto pins_its_buffers = [&](const auto& hostile) {
      return hostile.first == Hostility::TakesNoAnswers && hostile.second == options.host.address;
    };
    if (std::ranges::any_of(plan.hostile, pins_its_buffers)) {
      options.bound_ns += kUntilStalledNs;
      options.host.patience_ns += kUntilStalledNs;
    }
    if (settings.is_long) options.connections *= 2, options.commands *= 4;
    workloads.push_back(std::make_unique<Workload>(world, options, i * blocks_each, blocks_each));
    world.start_host([&workload = *workloads.back()] { workload.run(); });
  };
  // Of the namespace that the operator adds and removes.
  const auto start_guest = [&] {
    WorkloadOptions options;
    options.number = 60;
    options.host.nqn = "nqn.2024-01.org.example:guest";
    options.host.address = address_of(kGuest);
    options.host.hostid = 60;
    options.host.invalidates = false;
    options.host.keep_alive_ms = World::kKeepAliveMs;
    options.bound_ns = 0;
    options.nsid = Operator::kNsid;
    options.namespace_stays = false;
    workloads.push_back(std::make_unique<Workload>(world, options, 0, Operator::kBlocks));
    world.start_host([&workload = *workloads.back()] { workload.run(); });
  };
  for (unsigned i = 0; i < plan.honest; ++i) start_honest(i);
  for (size_t i = 0; i < plan.hostile.size(); ++i)
    start_other([&world, hostile = plan.hostile[i], number = static_cast<uint32_t>(100 + i)] {
      be_hostile(world, hostile.first, number, hostile.second);
    });
  for (const Imposture how : plan.impostors)
    start_other([&authenticators, how, victim = HostOptions{.nqn = nqn_of(0), .hostid = 1}] {
      authenticators.be_impostor(how, victim);
    });
  if (plan.two_paths) {
    multipath =
        std::make_unique<Multipath>(world, 50, (plan.honest + 1) * blocks_each, blocks_each, address_of(kMultipath));
    world.start_host([&] { multipath->run(kMultipathCommands); });
    world.start_host([&] { multipath->keep_paths(); });
  }
  if (plan.changes != 0) {
    std::vector<std::string> nqns;
    for (unsigned i = 0; i < plan.honest; ++i) nqns.push_back(nqn_of(i));
    operating = std::make_unique<Operator>(world, std::move(nqns));
    start_other([&] { operating->run(plan.changes); });
    start_guest();
  }
  if (plan.disk_hangs || plan.device_goes || plan.ssd_goes) start_other([&world, &plan] { disturb(world, plan); });
  if (plan.questions != 0)
    start_other([&world, questions = plan.questions] {
      for (unsigned i = 0; i < questions; ++i) {
        const uint64_t until = world.fabric.now_ns() + world.fabric.schedule().random().below(kQuestionsNs);
        world.wait([&] { return world.fabric.now_ns() >= until; });
        ask_for_status(world);
      }
    });
  if (plan.device_events != 0)
    start_other([&world, events = plan.device_events] { have_device_events(world, events); });

  const auto over = [&] { return world.hosts_are_done() || !world.fabric.faults().empty(); };
  if (!world.wait(over, kMostNs)) world.fabric.fault("the hosts do not come to an end");
  // Whatever the others did, there is room for one more, whose bounds hold; and what they took with them is found when
  // it ends.
  if (world.fabric.faults().empty()) start_honest(plan.honest);
  if (!world.wait(over, kMostNs)) world.fabric.fault("the last host does not come to an end");
  if (world.fabric.faults().empty()) world.check_quiet();
  outcome.faults = world.fabric.faults();
  outcome.story = world.fabric.story();
  for (const auto& workload : workloads) outcome.commands += workload->completed();
  if (multipath) outcome.commands += multipath->completed();
  outcome.connections = world.transport()->counters().accepted;
  return outcome;
}

}  // namespace nvmf::simulation
