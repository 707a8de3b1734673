// What a namespace's device says of how its blocks are best written and deallocated, and of what it keeps whole when
// power fails: NVM Command Set 1.0, section 4.1.5.1, Figure 97. Counts of blocks are not 0-based here.
#pragma once

#include <cstdint>

namespace nvmf::core {

struct IoHints {
  uint32_t write_granularity_blocks = 1;           // NPWG
  uint32_t write_alignment_blocks = 1;             // NPWA
  uint32_t deallocate_granularity_blocks = 1;      // NPDG
  uint32_t deallocate_alignment_blocks = 1;        // NPDA
  uint32_t optimal_write_blocks = 0;               // NOWS; 0: not known
  uint32_t atomic_write_blocks = 1;                // NAWUN
  uint32_t atomic_write_power_fail_blocks = 1;     // NAWUPF
  uint32_t atomic_boundary_blocks = 0;             // NABSN; 0: no boundary
  uint32_t atomic_boundary_power_fail_blocks = 0;  // NABSPF; the same
  uint32_t first_atomic_boundary_lba = 0;          // NABO
  uint8_t deallocated_blocks = 0;                  // DLFEAT: NVME_NS_DLFEAT_*
  bool rotational = false;                         // RMEDIA
  friend bool operator==(const IoHints&, const IoHints&) = default;
};

}  // namespace nvmf::core
