// Warns of what a config takes that this machine does not have: memory, addresses of its own services. Part of
// `nvmf-p2p check`; opens and changes nothing.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "p2p/sysfs.h"
#include "target/daemon/machine_check.h"

namespace nvmf::daemon {

std::vector<config::Diagnostic> check_resources(const config::Config& config, const p2p::Sysfs& sysfs,
                                                const std::vector<InterfaceAddress>& addresses);

}  // namespace nvmf::daemon
