// Commands that the target executes with reads and writes when the disk does not support them: Compare, Verify
// (compare.cpp) and Copy (copy.cpp). They need memory besides the host's data: scratch.
//
// Parsers ask for it with Request::scratch_bytes, and the transport takes data and scratch as *one* buffer of the DRAM
// pool, after the commands that already wait there. So a command never holds memory of the pool while it waits for
// more: every command with memory ends without needing more, and returns it. The pool's largest buffer is twice MDTS
// (data and scratch are at most MDTS each), which fits into every pool; waiting commands are served in turn, so that a
// large buffer becomes free after those before it have ended. There is no deadlock and no starvation.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// The scratch starts on the page after the data, because disks need the alignment.
constexpr uint32_t scratch_offset(uint32_t length_bytes) {
  return (length_bytes + limits::kPageBytes - 1) & ~(limits::kPageBytes - 1);
}

// The length of the buffer that the transport takes for a command.
inline uint32_t buffer_bytes(const Request& request) {
  return request.scratch_bytes == 0 ? request.length_bytes
                                    : scratch_offset(request.length_bytes) + request.scratch_bytes;
}

// The first `length_bytes` of the scratch, for one step.
inline Buffer scratch_of(const Request& request, uint32_t length_bytes) {
  Buffer scratch = request.data;
  scratch.address += scratch_offset(request.length_bytes);
  scratch.length_bytes = length_bytes;
  scratch.pool = nullptr;
  return scratch;
}

// The limits of namespaces whose Copy the target executes itself.
constexpr CopyLimits composed_copy_limits(uint8_t lba_shift) {
  constexpr uint32_t kBytes = limits::kMaxCopyBytes;
  return {static_cast<uint16_t>(kBytes >> lba_shift), kBytes >> lba_shift, limits::kMaxCopyRanges - 1};
}
static_assert(limits::kMaxCopyBytes >> 9 <= UINT16_MAX);

}  // namespace nvmf::core
