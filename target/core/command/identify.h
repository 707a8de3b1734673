// Identify: NVMe Base 2.0, section 5.17.
#pragma once

#include <cstdint>

namespace nvmf::core {

class Subsystem;

// ONCS: the optional commands that a subsystem's namespaces have, by their backends.
uint16_t optional_commands(const Subsystem& subsystem);

}  // namespace nvmf::core
