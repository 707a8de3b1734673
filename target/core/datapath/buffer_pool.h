// A pool of buffers carved from one registered region: a buddy allocator, so that the size classes (powers of two from
// 4 KiB to the whole region) adapt to the load. Single-threaded; never allocates from the heap after construction.
//
// A released buffer is kept whole, for the next command usually wants one of the same size: a few of each size, until
// memory is missing.
//
// Hosts share it. A host (Queue::share) that holds memory of the pool gets more only while it does not hold more than
// limits::kShareOfFree times what is free then: hosts that take no answers, and so give nothing back, always leave
// something to the next one, and a host alone can use three quarters. Commands of a host that has used up its share
// wait without keeping others waiting. Commands that may have memory when there is none wait in turn, before all that
// come later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "target/core/datapath/memory.h"
#include "target/core/datapath/waiting_requests.h"
#include "target/core/reactor/counter.h"

namespace nvmf::core {

class BufferPool {
 public:
  // `region` describes the memory: address (4 KiB aligned), lkey, fixed index, kind. The part of `region_bytes` (less
  // than 16 TiB) that is not a multiple of 4 KiB is left unused. Buffers are at most `max_buffer_bytes` long (a power
  // of two; cut to the region's size).
  BufferPool(const Buffer& region, uint64_t region_bytes, uint32_t max_buffer_bytes);
  // A region as long as it says itself.
  BufferPool(const Buffer& region, uint32_t max_buffer_bytes)
      : BufferPool(region, region.length_bytes, max_buffer_bytes) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // The region is an io_uring registered buffer from now on. Before the first allocate().
  void set_fixed_index(int32_t index) { region_.fixed_index = index; }

  // A buffer of buffer_bytes(request) for the command, as its data. False: it has to wait, or to take another pool.
  bool take(Request& request);
  // False when no block is free. `length_bytes` must not exceed max_buffer_bytes(). On success the buffer's length is
  // `length_bytes`, its address is a page boundary. Counts as the share's, but is not bounded by it.
  bool allocate(uint32_t length_bytes, Buffer& buffer, uint16_t share = 0);
  // Takes back what take() or allocate() gave. serve_next() may find somebody to serve then.
  void release(const Buffer& buffer);

  uint32_t max_buffer_bytes() const { return max_buffer_bytes_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t used_bytes() const { return used_.get(); }  // any thread
  MemoryKind kind() const { return region_.kind; }

  // Requests that wait for a buffer of this pool, after take() was false.
  void wait(Request& request);
  bool has_waiters() const { return waiting_.first() != nullptr; }
  // The next waiting request that gets a buffer, as its data, and waits no more; null when there is none. To be called
  // until then after release() and remove_waiter().
  Request* serve_next();
  bool remove_waiter(Request& request);

  // A request waits although its host's share is not used up: what others hold is missing.
  bool is_dry() const { return dry_; }
  uint64_t held_bytes(uint16_t share) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kKeptBlocks = 32;  // of one order, at most
  enum class BlockState : uint8_t { Lent, Kept, Free };
  // One entry per 4 KiB page; meaningful for the first page of a block.
  struct Page {
    uint32_t next = kNone;
    uint32_t previous = kNone;  // of a free block
    uint8_t order = 0;
    BlockState state = BlockState::Lent;
  };
  // Blocks of one order that came back last; they are not merged with their neighbours.
  struct KeptBlocks {
    uint32_t head = kNone;
    uint32_t count = 0;
  };

  // What the requests of one host have of the pool.
  struct Share {
    uint32_t held_pages = 0;
    uint32_t waiting = 0;  // requests
  };

  bool may_hold_more(const Share& share, uint8_t order) const;
  bool carve(uint8_t wanted, uint32_t length_bytes, Buffer& buffer, uint16_t share);
  Page& at(uint32_t page);
  uint32_t take_kept(uint8_t order);
  uint32_t split(uint8_t wanted);
  void merge(uint32_t page, uint8_t order);
  bool merge_kept();
  void push_free(uint32_t page, uint8_t order);
  void unlink_free(uint32_t page);

  Buffer region_;
  uint64_t size_bytes_;
  uint32_t max_buffer_bytes_;
  uint8_t max_order_;
  std::vector<Page> pages_;
  std::vector<uint32_t> free_heads_;  // by order
  std::vector<KeptBlocks> kept_;      // by order
  std::vector<Share> shares_;         // by Queue::share
  Counter used_;
  WaitingRequests waiting_;
  bool dry_ = false;
};

}  // namespace nvmf::core
