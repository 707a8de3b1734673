// Ports on all addresses of the machine (0.0.0.0 or ::): which addresses these are.
#pragma once

#include <vector>

#include "target/core/subsystem/target.h"
#include "target/daemon/interface_addresses.h"

namespace nvmf::daemon {

// The ports on one address each that a wildcard stands for: the machine's addresses of its family by which hosts can
// come, without those that one of `ports` has for itself with the same service. A port that is no wildcard stands for
// itself.
std::vector<core::Port> ports_meant(const core::Port& port, const std::vector<core::Port>& ports,
                                    const std::vector<InterfaceAddress>& addresses);

}  // namespace nvmf::daemon
