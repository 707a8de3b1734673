// Hosts that do what no host should, each kind in its own way. None may harm another host or the target.
#pragma once

#include <cstdint>

#include "tests/simulation/host.h"

namespace nvmf::simulation {

enum class Hostility : uint8_t {
  TooManyCapsules,      // more than its queue has entries
  TakesNoAnswers,       // posts no receives, and asks for data
  HalfCapsules,         // of two pieces, of which the second cannot be sent
  Garbage,              // capsules of random bytes and lengths
  NoConnect,            // connections without a Connect command
  WrongKeys,            // descriptors of memory that it has not
  VanishesAtAnyStep,    // of its set-up, or after it
  FloodsBeforeConnect,  // capsules on several connections without a Connect command, many more than their entries
  FloodsAdminQueue,     // all that costs the control thread work, as fast as the depth allows, and then faster
  FloodsWithReports,    // Reservation Reports of the largest size
  FloodsConnections,    // without a Connect command, more than one address may have
  UsesTheTargetsKeys    // RDMA into and out of the target's memory
};
inline constexpr unsigned kHostilities = 12;

// On the host's fiber, until its last connection has ended. `world.fabric.schedule().random()` chooses the details.
// `address`: the host's; outlives it.
void be_hostile(World& world, Hostility how, uint32_t number, const char* address = World::kHostAddress);

}  // namespace nvmf::simulation
