// Get Features and Set Features: NVMe Base 2.0, sections 5.15 and 5.27.
#pragma once

#include <cstdint>

namespace nvmf::core {

class Controller;

// For the Feature Identifiers Supported and Effects log page: an entry of struct nvme_fid_supported_effects_log.
uint32_t feature_effects(uint8_t fid, const Controller& controller);

}  // namespace nvmf::core
