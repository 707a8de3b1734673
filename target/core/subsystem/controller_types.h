// The types of controller: NVMe Base 2.0, section 3.1.2.
#pragma once

#include <cstdint>

namespace nvmf::core {

// Bits, since a command, log page, feature or identify structure may be known to several of them.
enum ControllerTypes : uint8_t { kIoController = 1, kDiscoveryController = 2, kAnyController = 3 };

}  // namespace nvmf::core
