// Warns of what a config takes that this machine does not have: memory, addresses of its own services, queues of its
// RNICs, time to stop in a container. Part of `nvmf-p2p check`; changes nothing.
#pragma once

#include <infiniband/verbs.h>

#include <string>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "p2p/sysfs.h"
#include "target/daemon/machine_check.h"

namespace nvmf::daemon {

// An RNIC of this machine.
struct RdmaDeviceLimits {
  std::string name;
  ibv_device_attr attributes{};
  std::string lack{};  // why it cannot be used at all; empty: it can
  bool is_iwarp = false;
};
// Of the devices that this user may open.
std::vector<RdmaDeviceLimits> read_rdma_device_limits();

// What the pools and the namespaces in memory take, against what the machine has.
std::vector<config::Diagnostic> check_memory(const config::Config& config, const p2p::Sysfs& sysfs);

std::vector<config::Diagnostic> check_resources(const config::Config& config, const p2p::Sysfs& sysfs,
                                                const std::vector<InterfaceAddress>& addresses,
                                                const std::vector<RdmaDeviceLimits>& devices = {});

}  // namespace nvmf::daemon
