// What the kernel says of a block device: the attributes of its request queue, and of the disk or partition itself
// (Documentation/ABI/stable/sysfs-block).
#pragma once

#include <cstdint>
#include <string>

#include "target/core/datapath/io_hints.h"

namespace nvmf::backend {

struct BlockLimits {
  bool host_managed_zones = false;  // each zone can only be written from its beginning to its end
  bool discards = false;            // blocks can be unmapped
  bool zeroes_and_unmaps = false;   // the same by a command for writing zeroes, after which they read as zeroes
  bool volatile_write_cache = true;
  uint32_t memory_alignment_bytes = 0;      // 0: not known
  uint32_t optimal_io_boundary_blocks = 0;  // NOIOB; 0: none
  core::IoHints hints;
};

// `disk`: the directory in sysfs of the disk or partition; `queue`: of the request queue. Whatever is not there counts
// as not known.
BlockLimits read_block_limits(const std::string& disk, const std::string& queue, uint8_t lba_shift);

// Whether the device behind the request queue may lose what it has acknowledged. It may change at any time: nobody may
// leave out a flush for it.
bool has_write_cache(const std::string& queue);

// Whether the kernel passes on discards that come through io_uring (Linux 6.12 and later), and the device takes them.
// Asks for one behind the end of the device, which is refused in either case.
bool takes_discard_commands(int fd, uint8_t lba_shift, uint64_t block_count);

}  // namespace nvmf::backend
