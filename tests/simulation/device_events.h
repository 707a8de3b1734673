// What a target's RNICs tell by asynchronous events and events of the connection manager while hosts use it: errors of
// queue pairs, completion queues and shared receive queues, a link that goes and comes back, GIDs that change, an
// address that another device of a bond takes over, a device that fails as a whole and is not removed.
#pragma once

#include "tests/simulation/world.h"

namespace nvmf::simulation {

enum class DeviceEvent : uint8_t {
  QueuePairFails,        // QP_FATAL
  CompletionQueueFails,  // CQ_ERR
  ReceiveQueueFails,     // SRQ_ERR
  LinkFlaps,             // PORT_ERR, then PORT_ACTIVE
  GidChanges,            // GID_CHANGE: nobody's connection ends
  AddressChanges,        // ADDR_CHANGE: the port listens anew, and nobody's connection ends
  DeviceFails            // DEVICE_FATAL of a device that stays: it is let go of, and opened again
};
inline constexpr unsigned kDeviceEvents = 7;

// On a fiber: that many events, each at some time. What the target has to do then is done within a bound.
void have_device_events(World& world, unsigned events);
// The same of one event. False: the world has nothing at the moment that it could happen to.
bool have_device_event(World& world, DeviceEvent event);

}  // namespace nvmf::simulation
