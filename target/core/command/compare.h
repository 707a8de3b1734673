// What Compare, Verify and the fused Compare share: NVM Command Set 1.0, sections 3.2.1 and 3.2.5.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// Reads the blocks that the command names, as its step; `done` gets the step.
void read_blocks(Request& request, const Buffer& into, void (*done)(Io&, Status));

}  // namespace nvmf::core
