// Warns of what is legal in a config but cannot work on this machine. It opens and changes nothing.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "p2p/sysfs.h"
#include "target/daemon/interface_addresses.h"

namespace nvmf::daemon {

// Warnings, in the order of the file: addresses that no interface has, or one without RNIC; devices and files
// that are missing or in use; cores, users and groups that do not exist; peer-to-peer that cannot work; subsystems that
// strangers may use. And errors: key files, and a directory of the state, that cannot be used.
std::vector<config::Diagnostic> check_machine(const config::Config& config, const p2p::Sysfs& sysfs,
                                              const std::vector<InterfaceAddress>& addresses);

}  // namespace nvmf::daemon
