// An NVMe status in words, for messages; not on the hot path.
#pragma once

#include <string>

#include "target/core/datapath/status.h"

namespace nvmf::core {

// "NVMe status 281h": SCT and SC in hexadecimal, as NVMe Base 2.0, section 3.3.3.2.1, lists them.
std::string to_string(Status status);

}  // namespace nvmf::core
