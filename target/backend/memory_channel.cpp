// HOT PATH: commands on a namespace in memory.
#include "target/backend/memory_channel.h"

#include <algorithm>
#include <cstring>

#include "target/backend/dataset_range.h"

namespace nvmf::backend {
namespace {

// Io::backend_word of a change: the range that it is at, and the bytes of it that are done.
constexpr unsigned kRangeShift = 48;
constexpr uint64_t kRangeDone = uint64_t{1} << kRangeShift;

uint32_t range_at_work(const core::Io& io) { return static_cast<uint32_t>(io.backend_word >> kRangeShift); }

uint64_t bytes_done(const core::Io& io) { return io.backend_word % kRangeDone; }

bool is_supported(core::IoKind kind) {
  switch (kind) {
    case core::IoKind::Read:
    case core::IoKind::Write:
    case core::IoKind::Flush:
    case core::IoKind::WriteZeroes:
    case core::IoKind::Deallocate:
      return true;
    case core::IoKind::Compare:
    case core::IoKind::Verify:
    case core::IoKind::Copy:
    case core::IoKind::WriteUncorrectable:
    case core::IoKind::ZoneAppend:
    case core::IoKind::ZoneManagementSend:
    case core::IoKind::ZoneManagementReceive:
      return false;
  }
  return false;
}

}  // namespace

void MemoryChannel::submit(core::Io& io) {
  if (!is_supported(io.kind)) return io.done(io, core::Status(NVME_SC_INVALID_OPCODE).do_not_retry());
  io.backend_word = 0;
  io.backend_step = 0;
  if (go_on(io)) [[likely]]
    return io.done(io, core::kSuccess);
  wait(io);
}

void MemoryChannel::wait(core::Io& io) {
  if (waiting_.empty()) engine_.defer(*this);
  waiting_.push(io);
}

// What ends may submit the next command.
unsigned MemoryChannel::try_again() {
  unsigned ended = 0;
  for (core::Io* io = waiting_.take_all(); io != nullptr;) {
    core::Io& tried = *io;
    io = io->next;
    const bool withdrawn = tried.backend_step == kWithdrawn;
    if (withdrawn) {
      give_up(tried);
    } else if (!go_on(tried)) {
      wait(tried);
      continue;
    }
    ++ended;
    tried.done(tried, withdrawn ? core::Status(NVME_SC_ABORT_QUEUE) : core::kSuccess);
  }
  return ended;
}

bool MemoryChannel::go_on(core::Io& io) {
  switch (io.kind) {
    case core::IoKind::Read:
      return read(io);
    case core::IoKind::Flush:
      return true;  // a change is where it stays before it is done
    default:
      return change(io);
  }
}

bool MemoryChannel::read(const core::Io& io) {
  const Range range = range_of(io);
  if (!memory_.claims.begin_read(range.begin, range.end)) return false;
  if (io.data.kind == core::MemoryKind::Namespace) return true;
  std::memcpy(io.data.address, memory_.address + range.begin, io.data.length_bytes);
  memory_.claims.end_read(range.begin, range.end);
  return true;
}

void MemoryChannel::end_in_place(core::Io& io) {
  const Range range = range_of(io);
  memory_.claims.end_read(range.begin, range.end);
}

bool MemoryChannel::keeps_changes_waiting(const core::Io& io) const {
  const Range range = range_of(io);
  return memory_.claims.change_waits(range.begin, range.end);
}

// Extent by extent. What waits for readers, or has more to do than is good for one turn, comes again.
bool MemoryChannel::change(core::Io& io) {
  const uint32_t ranges = io.kind == core::IoKind::Deallocate ? io.range_count : 1;
  uint64_t done_in_turn = 0;
  for (uint32_t index = range_at_work(io); index < ranges; ++index) {
    const Range range = range_of(io, index);
    for (;;) {
      const uint64_t done = bytes_done(io);
      const uint64_t begin = range.begin + done;
      if (begin == range.end) break;
      if (done_in_turn >= kBytesOfTurn || !memory_.claims.begin_change(begin)) return false;
      const uint64_t end_of_extent = (begin / core::ExtentClaims::kExtentBytes + 1) * core::ExtentClaims::kExtentBytes;
      const Range part{begin, std::min(range.end, end_of_extent)};
      change(io, done, part);
      memory_.claims.end_change(begin);
      io.backend_word += part.end - part.begin;
      done_in_turn += part.end - part.begin;
    }
    io.backend_word = (index + uint64_t{1}) << kRangeShift;
  }
  return true;
}

// Readers need not wait any more for a change that comes no more.
void MemoryChannel::give_up(const core::Io& io) {
  memory_.claims.withdraw_change(range_of(io, range_at_work(io)).begin + bytes_done(io));
}

void MemoryChannel::change(const core::Io& io, uint64_t done_bytes, Range part) {
  std::byte* const to = memory_.address + part.begin;
  const size_t length = part.end - part.begin;
  const bool clears = io.kind == core::IoKind::Deallocate || (io.kind == core::IoKind::WriteZeroes && io.deallocate);
  if (io.kind == core::IoKind::Write)
    std::memcpy(to, io.data.address + done_bytes, length);
  else if (clears && memory_.clear != nullptr)
    memory_.clear(to, length);
  else
    std::memset(to, 0, length);
  if (memory_.persist != nullptr) memory_.persist(to, length);
}

MemoryChannel::Range MemoryChannel::range_of(const core::Io& io) const {
  return {io.slba << memory_.lba_shift, (io.slba + io.blocks) << memory_.lba_shift};
}

MemoryChannel::Range MemoryChannel::range_of(const core::Io& io, uint32_t index) const {
  if (io.kind != core::IoKind::Deallocate) return range_of(io);
  const nvme_dsm_range range = range_at(io, index);
  return {range.slba << memory_.lba_shift, (range.slba + range.nlb) << memory_.lba_shift};
}

}  // namespace nvmf::backend
