// A number that tells apart lives of a target or of a controller. Any thread.
#pragma once

#include <cstdint>

namespace nvmf::core {

// From the kernel: std::random_device uses RDSEED, which gives the same number twice on some machines.
uint32_t random_mark();

}  // namespace nvmf::core
