// Shared receive queues.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/memory.h"

namespace nvmf::rnic {

// A posted receive work request.
struct Receive {
  uint64_t wr_id = 0;
  std::vector<ibv_sge> pieces;
};

class SharedReceiveQueue : public ibv_srq {
 public:
  SharedReceiveQueue(ProtectionDomain& domain, const ibv_srq_attr& wanted, void* of_owner);
  ~SharedReceiveQueue();

  ProtectionDomain& domain() const { return domain_; }
  // As ibv_post_srq_recv(): 0, or ENOMEM when there is no room, EINVAL for too many pieces.
  int post(const ibv_recv_wr& work);
  // None: it is empty, or has failed. IBV_EVENT_SRQ_LIMIT_REACHED when there are fewer left than the limit.
  std::optional<Receive> take();
  // What becomes of a taken entry: its completion has been polled; or was removed unread; or none ever came.
  void on_polled();
  void on_removed();
  void on_swallowed();
  // As a flush completion that ibv_poll_cq() takes and does not return.
  void on_flushed_silently();
  void set_limit(uint32_t limit) { limit_ = limit; }
  ibv_srq_attr attributes() const { return {capacity_, max_sge_, limit_}; }
  // As if the device had found it broken: IBV_EVENT_SRQ_ERR.
  void fail();

  size_t posted() const { return receives_.size(); }
  // Entries that the consumer gave and will hear no more of.
  uint64_t swallowed() const { return swallowed_; }
  int queue_pairs = 0;

 private:
  ProtectionDomain& domain_;
  uint32_t capacity_;
  uint32_t max_sge_;
  uint32_t limit_ = 0;
  std::deque<Receive> receives_;
  uint32_t occupied_ = 0;
  uint64_t swallowed_ = 0;
  bool failed_ = false;
};

}  // namespace nvmf::rnic
