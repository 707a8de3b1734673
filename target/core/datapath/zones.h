// What a zoned namespace says of its zones: Zoned Namespace Command Set 1.1, section 4.1.5.1. A namespace of the NVM
// command set has none. Counts are not 0-based here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status.h"
#include "target/nvme/types.h"

namespace nvmf::core {

// Of the Identify data structures: OZCS.RAZB, and the unit of ZDES.
inline constexpr uint16_t kReadAcrossZoneBoundaries = 1 << 0;
inline constexpr uint32_t kZoneExtensionUnitBytes = 64;

struct Zones {
  uint64_t zone_blocks = 0;                // ZSZE; 0: the namespace is not zoned
  uint32_t extension_bytes = 0;            // ZDES: of a Zone Descriptor Extension; 0: zones have none
  uint32_t max_active = 0;                 // MAR; 0: no limit
  uint32_t max_open = 0;                   // MOR; 0: no limit
  uint16_t operation_characteristics = 0;  // ZOC
  bool reads_across_zones = false;         // OZCS.RAZB
  // RRL and FRL, then 1 to 3 of each: seconds; 0: not reported.
  std::array<uint32_t, 4> reset_recommended_s{};
  std::array<uint32_t, 4> finish_recommended_s{};
  friend bool operator==(const Zones&, const Zones&) = default;
};

constexpr bool is_zoned(const Zones& zones) { return zones.zone_blocks != 0; }

// The I/O Command Set Identifier of a namespace.
constexpr uint8_t csi_of(const Zones& zones) { return is_zoned(zones) ? NVME_CSI_ZNS : NVME_CSI_NVM; }

// What writes to several zones is refused: section 3.3. `zone_blocks` as in Zones.
constexpr bool is_in_one_zone(uint64_t zone_blocks, uint64_t slba, uint64_t blocks) {
  return zone_blocks == 0 || slba / zone_blocks == (slba + blocks - 1) / zone_blocks;
}
inline constexpr Status kZoneBoundaryError = command_specific(NVME_SC_ZNS_BOUNDARY_ERROR).do_not_retry();

// ZASL, of a target with this MDTS, in bytes: section 4.1.5.2. Longer ones could not be split.
constexpr uint32_t max_zone_append_bytes(uint32_t max_transfer_bytes) {
  return std::min(max_transfer_bytes, limits::kMaxZoneAppendBytes);
}

}  // namespace nvmf::core
