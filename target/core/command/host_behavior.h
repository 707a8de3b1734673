// 16h Host Behavior Support: NVMe Base 2.0, section 5.27.1.18. What a host can cope with beyond the plain protocol, in
// 512 bytes of data. A row of features.cpp's table.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// Get Features of the current value, and of the default.
Status parse_get_host_behavior(Request& request);
// ACRE alone can be set: the rest is about telemetry and formats that no controller here has.
Status parse_set_host_behavior(Request& request);

// What failures tell a host that has set ACRE: after how long a command is worth repeating.
inline constexpr uint16_t kRetryInterrupted100ms = 1;  // CRDT1: what was short comes back soon
inline constexpr uint16_t kRetryNotReady100ms = 10;    // CRDT2: a device that is not there

}  // namespace nvmf::core
