#include "tests/simulation/operator.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nvmf::simulation {
namespace {

constexpr char kDisk[] = "disk2";
// From the request's arrival to the answer.
constexpr uint64_t kStatusNs = 20'000'000;
// A port waits so long for hosts that use ANA, and then for their last commands.
constexpr uint64_t kDrainNs = 20'000'000'000;
constexpr unsigned kActions = 6;
constexpr std::array<const char*, kActions> kNotes{
    "the operator locks a host out", "the operator drains the port",      "the operator disconnects a host",
    "the operator grows a disk",     "the operator changes a rate limit", "the operator adds or removes a namespace"};

}  // namespace

Operator::Operator(World& world, std::vector<std::string> hosts)
    : world_(world), hosts_(std::move(hosts)), disk_(world.add_disk(kDisk, kBlocks)) {}

void Operator::run(unsigned changes) {
  rnic::Random& random = world_.fabric.schedule().random();
  const WorldConfig as_it_was = world_.config();
  for (unsigned i = 0; i < changes && world_.fabric.faults().empty(); ++i) {
    pause(8'000'000);
    ask_for_status(world_);
    const uint64_t action = random.below(kActions);
    world_.fabric.note(kNotes[action]);
    switch (action) {
      case 0:
        lock_out();
        break;
      case 1:
        drain();
        break;
      case 2:
        disconnect();
        break;
      case 3:
        resize();
        break;
      case 4:
        limit();
        break;
      default:
        add_or_remove_namespace();
    }
    ask_for_status(world_);
  }
  reload(as_it_was);
}

void Operator::pause(uint64_t most_ns) {
  const uint64_t until = world_.fabric.now_ns() + world_.fabric.schedule().random().below(most_ns);
  world_.wait([&] { return world_.fabric.now_ns() >= until; });
}

void Operator::reload(const WorldConfig& wanted) {
  const std::string failure = world_.reload(wanted);
  if (!failure.empty()) world_.fabric.fault(failure);
}

void ask_for_status(World& world) {
  const auto taken_ns = world.time_on_control_thread([&world] {
    ControlPlane& control_plane = world.control_plane();
    for (const core::Port& port : world.target.ports())
      if (std::string(control_plane.ports().state_of(port)).empty()) world.fabric.fault("a port has no state");
    if (control_plane.storage().namespaces().size() > world.config().namespaces.size() + 1)
      world.fabric.fault("more namespaces are served than the config has");
  });
  if (!taken_ns) return world.fabric.fault("status is not answered");
  if (*taken_ns > kStatusNs) world.fabric.fault("status takes " + std::to_string(*taken_ns / 1'000'000) + " ms");
}

void Operator::add_or_remove_namespace() {
  WorldConfig wanted = world_.config();
  const auto is_mine = [](const WorldConfig::Namespace& one) { return one.nsid == kNsid; };
  if (std::erase_if(wanted.namespaces, is_mine) == 0) wanted.namespaces.push_back({.nsid = kNsid, .disk = kDisk});
  reload(wanted);
}

void Operator::resize() {
  disk_.grow(disk_.block_count() + 8);
  reload(world_.config());
}

void Operator::limit() {
  WorldConfig wanted = world_.config();
  for (WorldConfig::Namespace& one : wanted.namespaces)
    if (one.nsid == kNsid) one.max_iops = one.max_iops == 0 ? 2000 : 0;
  reload(wanted);
}

void Operator::lock_out() {
  const WorldConfig before = world_.config();
  WorldConfig wanted = before;
  wanted.allowed_hosts = hosts_;
  wanted.allowed_hosts.erase(wanted.allowed_hosts.begin() +
                             static_cast<ptrdiff_t>(world_.fabric.schedule().random().below(hosts_.size())));
  wanted.allowed_hosts.emplace_back("nqn.2024-01.org.example:nobody");
  const Disturbance locked_out(world_);
  reload(wanted);
  pause(5'000'000);
  reload(before);
}

void Operator::drain() {
  daemon::Ports& ports = world_.control_plane().ports();
  const Disturbance drained(world_);
  ports.drain(World::kPort);
  if (!world_.wait([this] { return world_.target.controllers_on(World::kPort) == 0; }, kDrainNs))
    world_.fabric.fault("a port does not drain");
  pause(5'000'000);
  ports.resume(World::kPort);
}

void Operator::disconnect() {
  const Disturbance disconnected(world_);
  world_.control_plane().disconnect(hosts_[world_.fabric.schedule().random().below(hosts_.size())]);
}

}  // namespace nvmf::simulation
