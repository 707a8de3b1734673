#include "target/daemon/end_controllers.h"

#include "target/core/subsystem/controller.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {

size_t end_controllers(core::Target& target, const std::string& reason,
                       const std::function<bool(const core::Controller&)>& fits) {
  size_t count = 0;
  const auto end = [&](const core::Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers()) {
      if (!fits(*controller)) continue;
      controller->fail(reason);
      ++count;
    }
  };
  for (const auto& subsystem : target.subsystems()) end(*subsystem);
  if (const core::Subsystem* discovery = target.find_subsystem(nvme::kDiscoveryNqn)) end(*discovery);
  return count;
}

}  // namespace nvmf::daemon
