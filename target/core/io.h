// The seam between the protocol and the disk.
//
// An IoChannel is one namespace's backend as one reactor sees it. The reactor's thread calls submit(); the backend
// calls io.done(io, status) exactly once for each, on the same thread, from inside submit() or from the engine's poll.
// Whoever submits has checked the range against the namespace's size and owns the buffer until done. submit() neither
// blocks nor allocates nor rings a doorbell: the engine does that once a turn.
#pragma once

#include <cstdint>
#include <span>

#include "target/core/memory.h"
#include "target/core/status.h"

namespace nvmf::core {

enum class IoKind : uint8_t { Read, Write, Flush, WriteZeroes, Deallocate };

struct Io {
  IoKind kind = IoKind::Read;
  bool fua = false;         // Write, WriteZeroes: on stable media before done
  bool deallocate = false;  // WriteZeroes: may deallocate (DEAC)
  uint64_t slba = 0;
  uint32_t blocks = 0;       // Read, Write, WriteZeroes
  Buffer data;               // Read, Write: blocks << lba_shift bytes. Deallocate: the ranges, DRAM
  uint32_t range_count = 0;  // Deallocate: struct nvme_dsm_range in `data`
  void (*done)(Io&, Status) = nullptr;
  uint64_t backend_word = 0;  // the backend's to use between submit and done
};

class IoChannel {
 public:
  virtual ~IoChannel() = default;
  virtual void submit(Io& io) = 0;
};

}  // namespace nvmf::core
