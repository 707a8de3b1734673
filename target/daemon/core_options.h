// Translates a config into the options of the core.
#pragma once

#include <cstdint>
#include <vector>

#include "config/config.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/core/subsystem/target_limits.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::daemon {

core::Port port_of(const config::Port& wanted);
std::vector<core::Port> ports_of(const config::Config& config);
core::Referral referral_of(const config::Referral& wanted);
core::SubsystemOptions options_of(const config::Subsystem& wanted);
core::TargetLimits limits_of(const config::Limits& wanted);
// What the receive slots of an RNIC may take of the machine's memory: hosts must not get hold of all there is.
uint64_t slot_memory_bytes(uint64_t machine_bytes);
rdma::PollGroupOptions group_options(const config::Config& config);
core::TargetOptions target_options(const config::Config& config);

// The states of all groups on all ports of the subsystem; states that the config leaves out are optimized.
void set_ana_states(core::Subsystem& subsystem, const config::Subsystem& wanted);

}  // namespace nvmf::daemon
