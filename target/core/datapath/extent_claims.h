// On the hot path. Keeps reads of a namespace in memory apart from changes of the same blocks, on all reactors, without
// a lock. NVMe wants a logical block to be atomic (AWUN, NVM Command Set 1.0, section 2.1.4: one block at least): what
// a host reads of it is what one command left there. But an RNIC reads memory when it likes, and the CPU changes memory
// a cache line at a time.
//
// The memory counts as extents, and each has a word: how many read it, whether somebody changes it, whether a change
// waits for that. A reader claims all its extents or none, and holds them until its data has left, which may take an
// RNIC a while. A change claims one extent at a time, for as long as the CPU works on it. Nobody waits here: who finds
// a claim of others comes again, a turn later. A change that has come once keeps further readers out until it has had
// its turn, so that readers cannot starve it; and as readers hold nothing while they wait, nobody waits in a circle.
//
// Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "target/core/reactor/invariant.h"

namespace nvmf::core {

class ExtentClaims {
 public:
  // No logical block is in two extents.
  static constexpr unsigned kExtentShift = 16;
  static constexpr uint64_t kExtentBytes = uint64_t{1} << kExtentShift;

  // Of a longer memory, extents that lie far apart have a word together.
  explicit ExtentClaims(uint64_t memory_bytes)
      : mask_(std::min(kMostWords, std::bit_ceil((memory_bytes + kExtentBytes - 1) >> kExtentShift)) - 1),
        words_(std::make_unique<std::atomic<uint32_t>[]>(mask_ + 1)) {}

  // Of the bytes [begin, end), at most kMostBytes. True: end_read() must follow.
  bool begin_read(uint64_t begin, uint64_t end) {
    const uint64_t last = last_extent(begin, end);
    for (uint64_t extent = begin >> kExtentShift; extent <= last; ++extent) {
      if (add_reader(word(extent))) [[likely]]
        continue;
      while (extent-- != begin >> kExtentShift) remove_reader(word(extent));
      return false;
    }
    return true;
  }
  void end_read(uint64_t begin, uint64_t end) {
    const uint64_t last = last_extent(begin, end);
    for (uint64_t extent = begin >> kExtentShift; extent <= last; ++extent) remove_reader(word(extent));
  }
  // Whether a change of these bytes waits for readers.
  bool change_waits(uint64_t begin, uint64_t end) const {
    const uint64_t last = last_extent(begin, end);
    for (uint64_t extent = begin >> kExtentShift; extent <= last; ++extent)
      if ((words_[extent & mask_].load(std::memory_order_relaxed) & kChangeWaits) != 0) return true;
    return false;
  }

  // Of the extent that the byte is in. True: end_change() must follow. False: the caller must come again.
  bool begin_change(uint64_t offset) {
    std::atomic<uint32_t>& claims = word(offset >> kExtentShift);
    uint32_t none = 0;
    if (claims.compare_exchange_strong(none, kChanging, std::memory_order_acquire)) [[likely]]
      return true;
    none = kChangeWaits;
    if (claims.compare_exchange_strong(none, kChanging, std::memory_order_acquire)) return true;
    claims.fetch_or(kChangeWaits, std::memory_order_relaxed);
    return false;
  }
  void end_change(uint64_t offset) {
    const uint32_t before = word(offset >> kExtentShift).fetch_sub(kChanging, std::memory_order_release);
    NVMF_INVARIANT((before & kChanging) != 0);
  }

  // After begin_change() was false, when nobody comes again: readers need not wait for it any more. Another change that
  // waits there says so again.
  void withdraw_change(uint64_t offset) {
    word(offset >> kExtentShift).fetch_and(~kChangeWaits, std::memory_order_relaxed);
  }

  static constexpr uint64_t kMostWords = uint64_t{1} << 16;
  static constexpr uint64_t kMostBytes = (kMostWords - 1) << kExtentShift;  // so that a reader meets itself nowhere

 private:
  // A reader adds 1. More commands than fit into the bits below are never in flight.
  static constexpr uint32_t kChangeWaits = uint32_t{1} << 30;
  static constexpr uint32_t kChanging = uint32_t{1} << 31;

  static uint64_t last_extent(uint64_t begin, uint64_t end) {
    NVMF_INVARIANT(begin < end && end - begin <= kMostBytes);
    return (end - 1) >> kExtentShift;
  }
  std::atomic<uint32_t>& word(uint64_t extent) { return words_[extent & mask_]; }
  static bool add_reader(std::atomic<uint32_t>& claims) {
    if (claims.fetch_add(1, std::memory_order_acquire) < kChangeWaits) [[likely]]
      return true;
    claims.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  static void remove_reader(std::atomic<uint32_t>& claims) {
    const uint32_t before = claims.fetch_sub(1, std::memory_order_release);
    NVMF_INVARIANT((before & (kChangeWaits - 1)) != 0);
  }

  uint64_t mask_;
  std::unique_ptr<std::atomic<uint32_t>[]> words_;
};

}  // namespace nvmf::core
