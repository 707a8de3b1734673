// Receive slots and request objects for a number of commands, in memory registered with one RNIC. A poll group owns
// slabs: it adds one when new queues need more slots, and keeps it for later queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "target/core/reactor/mailbox.h"
#include "transport/rdma/request.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rdma {

// Anonymous pages, unmapped at the end. Throws std::system_error.
class Pages {
 public:
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* begin() const { return begin_; }
  size_t size() const { return bytes_; }

 private:
  std::byte* begin_;
  size_t bytes_;
};

// Request objects for so many receive slots: a request outlives its slot by the time that its answer takes to be
// acknowledged. A queue has at most as many as its depth has a right to, so that it never takes those of another.
constexpr uint32_t requests_of(uint32_t slots) { return slots + slots / 2; }

class ReceiveSlab {
 public:
  // For an even `count`, but for the last slab of a set: what requests_of() rounds down would be missing.
  // `in_capsule_bytes` of data room per capsule; 0 for admin queues. Throws std::system_error.
  ReceiveSlab(ibv_pd* domain, uint32_t count, uint32_t in_capsule_bytes);

  std::span<ReceiveSlot> slots() const { return {slots_.get(), count_}; }
  std::span<RdmaRequest> requests() const { return {requests_, request_count_}; }
  // The in-capsule data of all slots, to be registered with io_uring, too.
  std::span<std::byte> in_capsule_data() const { return in_capsule_; }

  int fixed_index = -1;  // io_uring registered buffer of in_capsule_data()
  QueueSet* queues = nullptr;
  core::Message adopt;  // carries the slab to the group's thread

 private:
  uint32_t count_;
  uint32_t request_count_;
  Pages pages_;
  // In-capsule data, which RDMA READs may bring in; null: there is no room for any. Hosts can write into it on iWARP.
  verbs::MemoryRegion data_region_;
  // SQEs and requests: only this side writes into it.
  verbs::MemoryRegion region_;
  std::unique_ptr<ReceiveSlot[]> slots_;
  RdmaRequest* requests_ = nullptr;  // in pages_: completion entries are sent from there
  std::span<std::byte> in_capsule_;
};

}  // namespace nvmf::rdma
