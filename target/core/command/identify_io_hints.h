// Identify Namespace (CNS 00h), fields for the layout of I/O: NVM Command Set 1.0, section 4.1.5.1.
#pragma once

#include "target/core/subsystem/subsystem.h"
#include "target/nvme/types.h"

namespace nvmf::core {

// NSFEAT, DLFEAT, NOIOB, and the fields that NSFEAT says are valid. NACWU stays 0: ACWU, one block, holds (fused.h).
void fill_io_hints(const NamespaceOptions& ns, nvme_id_ns& id);

}  // namespace nvmf::core
