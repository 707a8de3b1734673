#include "target/core/command/identify_zones.h"

namespace nvmf::core {
namespace {

// MAR and MOR are 0-based, and FFFFFFFFh is no limit, which is 0 here.
uint32_t resources_z(uint32_t count) { return count - 1; }

}  // namespace

void fill_zones(const Zones& zones, nvme_zns_id_ns& id) {
  id.zoc = zones.operation_characteristics;
  id.ozcs = zones.reads_across_zones ? kReadAcrossZoneBoundaries : uint16_t{0};
  id.mar = resources_z(zones.max_active);
  id.mor = resources_z(zones.max_open);
  id.rrl = zones.reset_recommended_s[0];
  id.rrl1 = zones.reset_recommended_s[1];
  id.rrl2 = zones.reset_recommended_s[2];
  id.rrl3 = zones.reset_recommended_s[3];
  id.frl = zones.finish_recommended_s[0];
  id.frl1 = zones.finish_recommended_s[1];
  id.frl2 = zones.finish_recommended_s[2];
  id.frl3 = zones.finish_recommended_s[3];
  id.lbafe[0].zsze = zones.zone_blocks;
  id.lbafe[0].zdes = static_cast<uint8_t>(zones.extension_bytes / kZoneExtensionUnitBytes);
}

}  // namespace nvmf::core
