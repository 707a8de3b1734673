// HOT PATH: a buffer for each command with data.
#include "target/core/datapath/buffer_pool.h"

#include <algorithm>
#include <bit>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"
#include "target/core/datapath/scratch.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kPage = limits::kPageBytes;

uint32_t pages_for(uint32_t length_bytes) { return length_bytes == 0 ? 1 : (length_bytes - 1) / kPage + 1; }

uint8_t order_for(uint32_t pages) { return static_cast<uint8_t>(std::bit_width(pages - 1)); }
uint8_t order_of(const Request& request) { return order_for(pages_for(buffer_bytes(request))); }

uint32_t largest_buffer(uint64_t region_bytes, uint32_t max_buffer_bytes) {
  const auto pages = static_cast<uint32_t>(std::min<uint64_t>(region_bytes, max_buffer_bytes) / kPage);
  return std::bit_floor(pages) * kPage;
}

}  // namespace

BufferPool::BufferPool(const Buffer& region, uint64_t region_bytes, uint32_t max_buffer_bytes)
    : region_(region),
      size_bytes_(region_bytes & ~uint64_t{kPage - 1}),
      max_buffer_bytes_(largest_buffer(region_bytes, max_buffer_bytes)),
      max_order_(max_buffer_bytes_ == 0 ? uint8_t{0} : order_for(max_buffer_bytes_ / kPage)),
      pages_(size_bytes_ / kPage),
      free_heads_(max_order_ + 1u, kNone),
      kept_(max_order_ + 1u),
      shares_(limits::kBufferShares) {
  NVMF_INVARIANT(reinterpret_cast<uintptr_t>(region.address) % kPage == 0);
  if (max_buffer_bytes_ == 0) return;
  // From the end of the region, so that blocks at its start are handed out first. A block of 2^k pages starts at a
  // multiple of 2^k: the largest ones come first, the smaller ones of the rest after them.
  uint32_t end = static_cast<uint32_t>(pages_.size());
  while (end != 0) {
    const auto order = std::min<uint8_t>(static_cast<uint8_t>(std::countr_zero(end)), max_order_);
    end -= 1u << order;
    push_free(end, order);
  }
}

bool BufferPool::take(Request& request) {
  Queue& queue = *request.queue;
  const Share& share = shares_[queue.share];
  const uint32_t length_bytes = buffer_bytes(request);
  const uint8_t order = order_for(pages_for(length_bytes));
  if (!may_hold_more(share, order)) [[unlikely]] {
    queue.traffic.over_share.add(1);
    return false;
  }
  return share.waiting == 0 && !dry_ && carve(order, length_bytes, request.data, queue.share);
}

bool BufferPool::may_hold_more(const Share& share, uint8_t order) const {
  if (share.held_pages == 0) return true;
  const uint64_t free = pages_.size() - used_.get() / kPage;
  return share.held_pages + (uint64_t{1} << order) <= limits::kShareOfFree * free;
}

bool BufferPool::allocate(uint32_t length_bytes, Buffer& buffer, uint16_t share) {
  return carve(order_for(pages_for(length_bytes)), length_bytes, buffer, share);
}

// `wanted`: of `length_bytes`. A pool that is too small for it has no block of that size.
bool BufferPool::carve(uint8_t wanted, uint32_t length_bytes, Buffer& buffer, uint16_t share) {
  if (wanted > max_order_) return false;
  uint32_t page = take_kept(wanted);
  if (page == kNone) page = split(wanted);
  if (page == kNone && merge_kept()) page = split(wanted);
  if (page == kNone) return false;

  Page& block = at(page);
  block.order = wanted;
  block.state = BlockState::Lent;
  used_.add(uint64_t{kPage} << wanted);
  shares_[share].held_pages += 1u << wanted;

  buffer = region_;
  buffer.address = region_.address + size_t{page} * kPage;
  buffer.length_bytes = length_bytes;
  buffer.share = share;
  buffer.pool = this;
  return true;
}

void BufferPool::release(const Buffer& buffer) {
  NVMF_INVARIANT(buffer.pool == this);
  const auto page = static_cast<uint32_t>(static_cast<size_t>(buffer.address - region_.address) / kPage);
  Page& block = at(page);
  NVMF_INVARIANT(block.state == BlockState::Lent && block.order <= max_order_);
  used_.add(-(uint64_t{kPage} << block.order));
  Share& share = shares_[buffer.share];
  NVMF_INVARIANT(share.held_pages >= 1u << block.order);
  share.held_pages -= 1u << block.order;

  KeptBlocks& kept = kept_[block.order];
  if (kept.count == kKeptBlocks) return merge(page, block.order);
  block.next = kept.head;
  block.state = BlockState::Kept;
  kept.head = page;
  ++kept.count;
}

// The first of its host may be the first that lacks memory: then the pool is dry.
void BufferPool::wait(Request& request) {
  NVMF_INVARIANT(!dry_ || has_waiters());  // or nobody would have the next one served
  Share& share = shares_[request.queue->share];
  if (share.waiting == 0 && may_hold_more(share, order_of(request))) dry_ = true;
  ++share.waiting;
  waiting_.add(request);
}

Request* BufferPool::serve_next() {
  dry_ = false;
  for (Request* waiter = waiting_.first(); waiter != nullptr; waiter = WaitingRequests::next_turn(*waiter)) {
    Share& share = shares_[waiter->queue->share];
    const uint8_t order = order_of(*waiter);
    if (!may_hold_more(share, order)) continue;
    if (!carve(order, buffer_bytes(*waiter), waiter->data, waiter->queue->share)) {
      dry_ = true;
      return nullptr;
    }
    waiting_.take(*waiter);
    --share.waiting;
    return waiter;
  }
  return nullptr;
}

bool BufferPool::remove_waiter(Request& request) {
  if (!waiting_.remove(request)) return false;
  NVMF_INVARIANT(shares_[request.queue->share].waiting != 0);
  --shares_[request.queue->share].waiting;
  if (!has_waiters()) dry_ = false;
  return true;
}

uint64_t BufferPool::held_bytes(uint16_t share) const { return uint64_t{shares_[share].held_pages} * kPage; }

BufferPool::Page& BufferPool::at(uint32_t page) {
  NVMF_INVARIANT(page < pages_.size());
  return pages_[page];
}

uint32_t BufferPool::take_kept(uint8_t order) {
  KeptBlocks& kept = kept_[order];
  const uint32_t page = kept.head;
  if (page == kNone) return kNone;
  kept.head = at(page).next;
  --kept.count;
  return page;
}

// A part of the smallest free block that is large enough.
uint32_t BufferPool::split(uint8_t wanted) {
  uint8_t order = wanted;
  while (order <= max_order_ && free_heads_[order] == kNone) ++order;
  if (order > max_order_) return kNone;
  const uint32_t page = free_heads_[order];
  unlink_free(page);
  while (order > wanted) {
    --order;
    push_free(page + (1u << order), order);
  }
  return page;
}

void BufferPool::merge(uint32_t page, uint8_t order) {
  for (; order < max_order_; ++order) {
    const uint32_t buddy = page ^ (1u << order);
    if (buddy >= pages_.size() || at(buddy).state != BlockState::Free || at(buddy).order != order) break;
    unlink_free(buddy);
    page = std::min(page, buddy);
  }
  push_free(page, order);
}

// False when there were none.
bool BufferPool::merge_kept() {
  bool any = false;
  for (uint8_t order = 0; order <= max_order_; ++order) {
    for (uint32_t page = take_kept(order); page != kNone; page = take_kept(order)) {
      merge(page, order);
      any = true;
    }
  }
  return any;
}

void BufferPool::push_free(uint32_t page, uint8_t order) {
  uint32_t& head = free_heads_[order];
  if (head != kNone) at(head).previous = page;
  at(page) = {.next = head, .previous = kNone, .order = order, .state = BlockState::Free};
  head = page;
}

void BufferPool::unlink_free(uint32_t page) {
  Page& block = at(page);
  (block.previous == kNone ? free_heads_[block.order] : at(block.previous).next) = block.next;
  if (block.next != kNone) at(block.next).previous = block.previous;
  block.state = BlockState::Lent;
}

}  // namespace nvmf::core
