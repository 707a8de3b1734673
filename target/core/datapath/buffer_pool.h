// A pool of buffers carved from one registered region: a buddy allocator, so that the size classes (powers of two from
// 4 KiB to the whole region) adapt to the load. Single-threaded; never allocates from the heap after construction.
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

  // False when no block is free: the caller waits or takes another pool. `length_bytes` must not exceed
  // max_buffer_bytes(). On success the buffer's length is `length_bytes`, its address is a page boundary.
  bool allocate(uint32_t length_bytes, Buffer& buffer);
  // Takes back what allocate() gave.
  void release(const Buffer& buffer);

  uint32_t max_buffer_bytes() const { return max_buffer_bytes_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t used_bytes() const { return used_.get(); }  // any thread
  MemoryKind kind() const { return region_.kind; }

  // Requests that wait for a buffer of this pool.
  void wait(Request& request) { waiting_.add(request); }
  // The next request to try, null when none waits. It stays first until take_waiter().
  Request* first_waiter() const { return waiting_.first(); }
  void take_waiter() { waiting_.take_first(); }
  // Lets the next request in turn try again: a buffer may be free now.
  bool remove_waiter(Request& request) { return waiting_.remove(request); }
  void drop_waiters(const Queue& queue, void (*dropped)(Request&)) { waiting_.drop(queue, dropped); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // One entry per 4 KiB page; meaningful for the first page of a block.
  struct Page {
    uint32_t next = kNone;
    uint32_t previous = kNone;
    uint8_t order = 0;
    bool free = false;
  };

  Page& at(uint32_t page);
  void push_free(uint32_t page, uint8_t order);
  void unlink_free(uint32_t page);

  Buffer region_;
  uint64_t size_bytes_;
  uint32_t max_buffer_bytes_;
  uint8_t max_order_;
  std::vector<Page> pages_;
  std::vector<uint32_t> free_heads_;  // by order
  Counter used_;
  WaitingRequests waiting_;
};

}  // namespace nvmf::core
