// The results of io_uring completions as NVMe statuses.
#pragma once

#include <cstdint>

#include "target/core/datapath/status.h"

namespace nvmf::backend {

// For a command without a byte count: 0; an NVMe status (passthrough); or minus errno.
core::Status status_of_error(int result);
inline core::Status status_of_command(int result) { return result == 0 ? core::kSuccess : status_of_error(result); }

// For a read or write: bytes, or minus errno.
core::Status status_of_short_transfer(int result);
inline core::Status status_of_transfer(int result, uint32_t expected_bytes) {
  return static_cast<uint32_t>(result) == expected_bytes ? core::kSuccess : status_of_short_transfer(result);
}

}  // namespace nvmf::backend
