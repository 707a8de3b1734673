// Limits of the whole target for all hosts together and for each host, besides the limits of subsystems. Controllers of
// the discovery subsystem are not counted. Control thread.
#pragma once

#include <cstdint>
#include <string>

namespace nvmf::core {

class Controller;
class Target;

struct TargetLimits {
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t max_controllers = kNone;
  uint32_t max_controllers_per_host = kNone;
  uint32_t max_io_queues = kNone;
  uint32_t max_io_queues_per_host = kNone;
};

// A text about the limit that does not allow this host one more controller with one I/O queue; empty: none. Controllers
// whose connection is closing do not count any more.
std::string reached_limit(const Target& target, const std::string& hostnqn);

// How many I/O queues the controller may have, including those that it has. Queues granted to others are not taken
// away.
uint32_t io_queues_for(const Target& target, const Controller& controller);

}  // namespace nvmf::core
