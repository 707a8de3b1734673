// Identify Namespace of the Zoned Namespace command set (CNS 05h, CSI 02h): Zoned Namespace Command Set 1.1, section
// 4.1.5.1.
#pragma once

#include "target/core/datapath/zones.h"
#include "target/nvme/types.h"

namespace nvmf::core {

// Everything but Zone Random Write Areas, which no namespace here has.
void fill_zones(const Zones& zones, nvme_zns_id_ns& id);

}  // namespace nvmf::core
