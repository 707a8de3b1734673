// Ends controllers for the operator.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

// Ends the controllers that match, including those of the discovery subsystem; returns their number.
size_t end_controllers(core::Target& target, const std::string& reason,
                       const std::function<bool(const core::Controller&)>& fits);

}  // namespace nvmf::daemon
