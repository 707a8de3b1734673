// Peer memory or DRAM, command by command.
#pragma once

#include "target/core/datapath/memory.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

struct Request;

// The path of a command's data: the CMB pool when the proof allows it, null for DRAM. `fallback` says why not, and is
// None also when peer-to-peer is off. Pure.
struct MemoryChoice {
  BufferPool* pool = nullptr;
  Fallback fallback = Fallback::None;
  Status status;  // not ok: the namespace requires peer-to-peer, which this connection cannot use
};
MemoryChoice choose_memory(const Request& request);

}  // namespace nvmf::core
