// The data pointer of a command: NVMe Base 2.0, section 4.1.2 and RDMA Transport 1.0, section 2.3. Parses descriptors
// that a host wrote, so it checks every length, offset, count and type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status.h"
#include "target/nvme/command.h"

namespace nvmf::core {

// A piece of the host's memory, for one RDMA READ or WRITE.
struct RemoteSegment {
  uint64_t address;
  uint32_t length_bytes;
  uint32_t key;
};

struct DataPointer {
  enum class Kind : uint8_t { None, InCapsule, Remote };
  Kind kind = Kind::None;
  bool invalidate = false;   // answer with SEND_WITH_INVALIDATE of invalidate_key
  bool page_aligned = true;  // every segment but the last is a multiple of 4 KiB long
  uint8_t segment_count = 0;
  uint32_t invalidate_key = 0;
  uint32_t capsule_offset = 0;  // InCapsule: bytes from the start of the in-capsule data area
  RemoteSegment segments[limits::kMaxSglDescriptors];
};

// `in_capsule` is the part of the capsule after the SQE. `length_bytes` is what the command transfers; descriptors that
// describe more are cut to it, less is an error. In-capsule data is accepted only when `host_to_controller`. A command
// that transfers nothing gets Kind::None, but its invalidate request is kept. Statuses: SGL Descriptor Type Invalid,
// Data SGL Length Invalid, SGL Offset Invalid, Invalid Number of SGL Descriptors, Invalid SGL Segment Descriptor. PSDT
// has been checked by parse().
Status parse_data_pointer(const nvme::Sqe& sqe, std::span<const std::byte> in_capsule, uint32_t length_bytes,
                          bool host_to_controller, DataPointer& out);

}  // namespace nvmf::core
