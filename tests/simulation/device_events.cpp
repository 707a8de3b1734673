#include "tests/simulation/device_events.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/connection_manager.h"
#include "tests/rnic/queue_pair.h"
#include "tests/rnic/shared_receive_queue.h"

namespace nvmf::simulation {
namespace {

constexpr uint64_t kPauseNs = 20'000'000;
constexpr uint64_t kHeardNs = 100'000'000;  // until the target has heard of an event
constexpr uint64_t kShortFlapNs = 300'000'000;
constexpr uint64_t kLongFlapNs = 6'000'000'000;  // longer than an RNIC tries to send something again
// Until failed queues are made anew, and a port whose address has changed listens again: first the last queue pairs
// must have ended, and the kernel may take its time to destroy them.
constexpr uint64_t kRecoveryNs = 60'000'000'000;

// By event.
constexpr std::array<const char*, kDeviceEvents> kNames{
    "a queue pair is about to fail", "a completion queue is about to fail", "a shared receive queue is about to fail",
    "a link is about to flap",       "a device's GID is about to change",   "a device's address is about to change",
    "a device is about to fail"};

rnic::Random& random_of(World& world) { return world.fabric.schedule().random(); }

template <class Element>
Element& one_of(World& world, const std::vector<Element*>& elements) {
  return *elements[random_of(world).below(elements.size())];
}

std::vector<rdma::Rnic*> rnics_of(World& world) {
  std::vector<rdma::Rnic*> present;
  for (const auto& rnic : world.transport()->rnics())
    if (!rnic->is_leaving()) present.push_back(rnic.get());
  return present;
}

rnic::Device& device_of(const rdma::Rnic& rnic) { return *static_cast<rnic::Device*>(rnic.context()->device); }

bool fail_a_queue_pair(World& world) {
  std::vector<rnic::QueuePair*> live;
  world.transport()->visit([&](const rdma::Connection& connection) {
    auto* const model = static_cast<rnic::QueuePair*>(connection.queue_pair().qp);
    if (model->now == IBV_QPS_RTS) live.push_back(model);
  });
  if (live.empty()) return false;
  const Disturbance failure(world);
  one_of(world, live).fail();
  return true;
}

// A group that is left meanwhile has gone with its device.
bool is_made_anew(World& world, const rdma::PollGroup* group) {
  bool waits = false;
  for (rdma::Rnic* const rnic : rnics_of(world))
    rnic->visit([&](rdma::PollGroup& one) { waits |= &one == group && one.takes_no_queue_pairs(); });
  return !waits;
}

bool fail_a_shared_queue(World& world, DeviceEvent event) {
  std::vector<rdma::PollGroup*> groups;
  for (rdma::Rnic* const rnic : rnics_of(world))
    rnic->visit([&](rdma::PollGroup& group) {
      if (!group.takes_no_queue_pairs()) groups.push_back(&group);
    });
  if (groups.empty()) return false;
  const rdma::PollGroup& group = one_of(world, groups);
  const auto& sets = group.queue_sets();
  const rdma::QueueSet& queues = *sets[random_of(world).below(sets.size())];
  const Disturbance failure(world);
  if (event == DeviceEvent::ReceiveQueueFails) {
    static_cast<rnic::SharedReceiveQueue*>(queues.shared_receives.get())->fail();
  } else {
    ibv_cq* const failed = random_of(world).chance(50) ? queues.receive_cq.get() : queues.send_cq.get();
    static_cast<rnic::CompletionQueue*>(failed)->fail();
  }
  world.wait([&] { return !is_made_anew(world, &group); }, kHeardNs);
  if (!world.wait([&] { return is_made_anew(world, &group); }, kRecoveryNs))
    world.fabric.fault("a failed queue is not made anew");
  return true;
}

bool flap_a_link(World& world) {
  const std::vector<rdma::Rnic*> rnics = rnics_of(world);
  if (rnics.empty()) return false;
  rnic::Device& device = device_of(one_of(world, rnics));
  const Disturbance outage(world);
  device.set_link(false);
  const uint64_t up_ns =
      world.fabric.now_ns() + random_of(world).below(random_of(world).chance(80) ? kShortFlapNs : kLongFlapNs);
  world.wait([&] { return world.fabric.now_ns() >= up_ns; });
  device.set_link(true);
  return true;
}

bool has_waiting_port(World& world) {
  return std::ranges::any_of(world.target.ports(), [&](const core::Port& port) {
    return std::string(world.control_plane().ports().state_of(port)) == "waiting";
  });
}

bool change_an_address(World& world) {
  const std::vector<rdma::Rnic*> rnics = rnics_of(world);
  if (rnics.empty()) return false;
  world.fabric.connections().address_changed(device_of(one_of(world, rnics)));
  world.wait([&] { return has_waiting_port(world); }, kHeardNs);
  if (!world.wait([&] { return !has_waiting_port(world); }, kRecoveryNs))
    world.fabric.fault("a port does not listen again");
  return true;
}

// As mlx5 before its driver's recovery.
bool fail_a_device(World& world) {
  const std::vector<rdma::Rnic*> rnics = rnics_of(world);
  if (rnics.empty()) return false;
  const Disturbance failure(world);
  device_of(one_of(world, rnics)).raise(IBV_EVENT_DEVICE_FATAL);
  world.wait([&] { return has_waiting_port(world); }, kHeardNs);
  if (!world.wait([&] { return !has_waiting_port(world); }, kRecoveryNs))
    world.fabric.fault("a device that has failed and is there again does not serve");
  return true;
}

}  // namespace

bool have_device_event(World& world, DeviceEvent event) {
  switch (event) {
    case DeviceEvent::QueuePairFails:
      return fail_a_queue_pair(world);
    case DeviceEvent::CompletionQueueFails:
    case DeviceEvent::ReceiveQueueFails:
      return fail_a_shared_queue(world, event);
    case DeviceEvent::LinkFlaps:
      return flap_a_link(world);
    case DeviceEvent::GidChanges: {
      const std::vector<rdma::Rnic*> rnics = rnics_of(world);
      if (!rnics.empty()) device_of(one_of(world, rnics)).change_gid();
      return !rnics.empty();
    }
    case DeviceEvent::AddressChanges:
      return change_an_address(world);
    case DeviceEvent::DeviceFails:
      return fail_a_device(world);
  }
  return false;
}

void have_device_events(World& world, unsigned events) {
  for (unsigned i = 0; i < events && world.fabric.faults().empty(); ++i) {
    const uint64_t until = world.fabric.now_ns() + random_of(world).below(kPauseNs);
    world.wait([&] { return world.fabric.now_ns() >= until; });
    const auto event = static_cast<DeviceEvent>(random_of(world).below(kDeviceEvents));
    world.fabric.note(kNames[static_cast<size_t>(event)]);
    have_device_event(world, event);
  }
}

}  // namespace nvmf::simulation
