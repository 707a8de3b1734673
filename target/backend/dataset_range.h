// Dataset Management's ranges as the host wrote them: NVM Command Set 1.0, section 3.2.3.
#pragma once

#include <cstdint>
#include <cstring>

#include "target/core/datapath/io.h"
#include "target/nvme/types.h"

namespace nvmf::backend {

// Range `index` of a Deallocate. The host chose their place, so they need not be aligned.
inline nvme_dsm_range range_at(const core::Io& io, uint32_t index) {
  nvme_dsm_range range;
  static_assert(sizeof range == 16);
  std::memcpy(&range, io.data.address + size_t{index} * sizeof range, sizeof range);
  return range;
}

}  // namespace nvmf::backend
