// Peer memory or DRAM, command by command.
#pragma once

#include "target/core/datapath/memory.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

struct Request;

// Where a command's data goes: the CMB pool when everything that was proved allows it, null for DRAM. `fallback` says
// why not, and is None also when peer-to-peer is off. Pure.
struct MemoryChoice {
  BufferPool* pool = nullptr;
  Fallback fallback = Fallback::None;
  Status status;  // not ok: the namespace requires peer-to-peer and this connection cannot have it
};
MemoryChoice choose_memory(const Request& request);

}  // namespace nvmf::core
