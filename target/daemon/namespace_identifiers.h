// The identifiers that hosts know a namespace by: NVMe Base 2.0, section 4.5.1.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "config/config.h"
#include "target/backend/device.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {

// Whether config or device give the namespace an identifier.
bool is_identified(const config::Namespace& wanted, const backend::DeviceInfo& device);

// UUID, NGUID and EUI-64: all by the config where it gives one of them, all by the device where it does not, and
// `kept_uuid` (identifier_files.h) where neither does. A namespace that has a UUID always has an NGUID, for ESXi shows
// no disk without.
void set_identifiers(core::NamespaceOptions& options, const config::Namespace& wanted,
                     const backend::DeviceInfo& device, const std::optional<std::array<uint8_t, 16>>& kept_uuid);

}  // namespace nvmf::daemon
