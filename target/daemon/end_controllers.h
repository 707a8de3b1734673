// Controllers that the operator ends.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

// Ends the controllers that fit, those of the discovery subsystem included; returns how many they were.
size_t end_controllers(core::Target& target, const std::string& reason,
                       const std::function<bool(const core::Controller&)>& fits);

}  // namespace nvmf::daemon
