// 16h Host Behavior Support: NVMe Base 2.0, section 5.27.1.18. Extensions of the protocol that a host supports, in 512
// bytes of data. A row of features.cpp's table.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// Get Features of the current value, and of the default.
Status parse_get_host_behavior(Request& request);
// Only ACRE can be set: the other fields are about telemetry and formats that no controller here has.
Status parse_set_host_behavior(Request& request);

// For hosts that have set ACRE: the delay after which a failed command should be repeated.
inline constexpr uint16_t kRetryInterrupted100ms = 1;  // CRDT1: a resource was short and will be free soon
inline constexpr uint16_t kRetryNotReady100ms = 10;    // CRDT2: the device is missing

}  // namespace nvmf::core
