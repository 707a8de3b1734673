// The seam between the protocol and the disk.
//
// An IoChannel is one reactor's access to one namespace's backend. The reactor's thread calls submit(); the backend
// calls io.done(io, status) exactly once for each, on the same thread, from inside submit() or from the engine's poll.
// The caller of submit() has checked the range against the namespace's size and owns the buffer until done. submit()
// neither blocks nor allocates nor rings a doorbell: the engine rings once a turn.
#pragma once

#include <cstdint>
#include <span>

#include "target/core/datapath/memory.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

enum class IoKind : uint8_t {
  Read,
  Write,
  Flush,
  WriteZeroes,
  Deallocate,
  // Only where OwnCommands has them:
  Compare,
  Verify,
  Copy,
  WriteUncorrectable,
  // Only on zoned namespaces:
  ZoneAppend,
  ZoneManagementSend,
  ZoneManagementReceive
};

// Commands that a namespace's device executes itself; bits. For other devices the target executes Compare, Verify and
// Copy with reads and writes (scratch.h), and does not support Write Uncorrectable.
enum OwnCommands : uint8_t {
  kOwnCompare = 1 << 0,
  kOwnVerify = 1 << 1,
  kOwnCopy = 1 << 2,
  kOwnWriteUncorrectable = 1 << 3,
};

// Limits of one Copy: NVM Command Set 1.0, section 4.1.5.1.
struct CopyLimits {
  uint16_t mssrl = 0;  // blocks of one source range
  uint32_t mcl = 0;    // blocks of all ranges
  uint8_t msrc_z = 0;  // source ranges, 0-based
};

struct Io {
  IoKind kind = IoKind::Read;
  bool fua = false;            // Write, WriteZeroes, Copy, ZoneAppend: on stable media before done
  bool deallocate = false;     // WriteZeroes: may deallocate (DEAC)
  uint32_t zone_action = 0;    // ZoneManagementSend, ZoneManagementReceive: command dword 13
  uint64_t slba = 0;           // Copy: of the destination; ZoneAppend: of the zone, and when done of the data (ALBA)
  uint32_t blocks = 0;         // all but Flush, Deallocate, Copy and zone management
  uint32_t backend_block = 0;  // these four are for the backend, between submit and done
  uint32_t backend_step = 0;
  uint64_t backend_word = 0;
  Io* next = nullptr;
  // Read, Write, Compare, ZoneAppend: blocks << lba_shift bytes; of a Read perhaps the namespace's own
  // (MemoryKind::Namespace). Deallocate, Copy: the ranges, DRAM. ZoneManagementSend: the Zone Descriptor Extension, or
  // nothing. ZoneManagementReceive: room for the report, DRAM.
  Buffer data;
  uint32_t range_count = 0;  // in `data`, Deallocate: struct nvme_dsm_range; Copy: struct nvme_copy_range
  void (*done)(Io&, Status) = nullptr;
};

class IoChannel {
 public:
  virtual ~IoChannel() = default;
  virtual void submit(Io& io) = 0;
  // Of a command that its disk has in part, if this is one: the rest is not begun any more. It ends as always. On the
  // thread of submit().
  virtual void withdraw_rest(Io& /*io*/) {}
  // Of a Read of the namespace's own memory, once, after it was done with success: the data has left. Until then the
  // blocks do not change. On the thread of submit().
  virtual void end_in_place(Io& /*io*/) {}
  // Whether a change of them waits for that.
  virtual bool keeps_changes_waiting(const Io& /*io*/) const { return false; }
};

}  // namespace nvmf::core
