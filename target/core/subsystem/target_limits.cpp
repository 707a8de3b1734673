#include "target/core/subsystem/target_limits.h"

#include <algorithm>

#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

struct Taken {
  uint32_t controllers = 0;
  uint32_t io_queues = 0;
};

// Of all hosts, or of one; `except` may be null.
Taken taken(const Target& target, const std::string* hostnqn, const Controller* except) {
  Taken sum;
  for (const auto& subsystem : target.subsystems()) {
    for (const auto& controller : subsystem->controllers()) {
      if (controller.get() == except || controller->is_closing() || !controller->is_admitted()) continue;
      if (hostnqn != nullptr && controller->host().nqn != *hostnqn) continue;
      ++sum.controllers;
      sum.io_queues += controller->claimed_io_queues();
    }
  }
  return sum;
}

std::string rule(const char* key, uint32_t limit) {
  return "the target has reached its limit: \"limits\".\"" + std::string(key) + "\" is " + std::to_string(limit) +
         "; raise the limit, or disconnect a host (nvmf-p2p connections, nvmf-p2p disconnect HOSTNQN)";
}

uint32_t left(uint32_t limit, uint32_t used) { return limit > used ? limit - used : 0; }

}  // namespace

std::string reached_limit(const Target& target, const std::string& hostnqn) {
  const TargetLimits& limits = target.limits();
  const Taken all = taken(target, nullptr, nullptr);
  const Taken own = taken(target, &hostnqn, nullptr);
  if (all.controllers >= limits.max_controllers) return rule("max_controllers", limits.max_controllers);
  if (own.controllers >= limits.max_controllers_per_host)
    return rule("max_controllers_per_host", limits.max_controllers_per_host);
  if (all.io_queues >= limits.max_io_queues) return rule("max_io_queues", limits.max_io_queues);
  if (own.io_queues >= limits.max_io_queues_per_host)
    return rule("max_io_queues_per_host", limits.max_io_queues_per_host);
  return {};
}

uint32_t io_queues_for(const Target& target, const Controller& controller) {
  const TargetLimits& limits = target.limits();
  const Taken others = taken(target, nullptr, &controller);
  const Taken own = taken(target, &controller.host().nqn, &controller);
  return std::min(left(limits.max_io_queues, others.io_queues), left(limits.max_io_queues_per_host, own.io_queues));
}

}  // namespace nvmf::core
