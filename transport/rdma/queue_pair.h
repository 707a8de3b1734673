// A connected queue as its poll group drives it. Lives on the poll group's thread from adopt() to the drained message.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

#include "target/core/datapath/queue.h"
#include "target/core/reactor/mailbox.h"
#include "transport/rdma/request.h"

namespace nvmf::rdma {

class PollGroup;

// First in, first out, linked through RdmaRequest::next.
class RequestList {
 public:
  bool empty() const { return first_ == nullptr; }
  RdmaRequest* front() const { return first_; }
  void push(RdmaRequest& request) {
    request.next = nullptr;
    (first_ ? last_->next : first_) = &request;
    last_ = &request;
  }
  void push_front(RdmaRequest& request) {
    request.next = first_;
    if (!first_) last_ = &request;
    first_ = &request;
  }
  bool contains(const RdmaRequest& wanted) const {
    const RdmaRequest* request = first_;
    while (request && request != &wanted) request = request->next;
    return request;
  }
  // False when it is not in it.
  bool remove(RdmaRequest& request) {
    RdmaRequest* previous = nullptr;
    for (RdmaRequest* one = first_; one != &request; one = one->next) {
      if (!one) return false;
      previous = one;
    }
    (previous ? previous->next : first_) = request.next;
    if (last_ == &request) last_ = previous;
    return true;
  }
  RdmaRequest* pop() {
    RdmaRequest* request = first_;
    if (request) first_ = request->next;
    return request;
  }

 private:
  RdmaRequest* first_ = nullptr;
  RdmaRequest* last_ = nullptr;
};

struct QueuePair {
  // Fixed at adoption.
  ibv_qp* qp = nullptr;
  core::Queue* queue = nullptr;
  PollGroup* group = nullptr;
  uint32_t send_entries = 0;       // of the send queue
  uint8_t read_depth = 1;          // RDMA READs that may be outstanding
  unsigned inline_flag = 0;        // IBV_SEND_INLINE when a completion entry may go into the work request itself
  bool remote_invalidate = false;  // the RNIC can SEND with invalidate

  // Gathered during a turn, posted by flush().
  ibv_send_wr* batch_first = nullptr;
  ibv_send_wr* batch_last = nullptr;
  QueuePair* next_dirty = nullptr;
  bool dirty = false;

  uint32_t send_entries_free = 0;
  uint8_t reads_free = 0;
  RequestList waiting_reads;           // for read depth or send queue entries
  RequestList waiting_responses;       // for send queue entries
  uint32_t outstanding = 0;            // requests between their capsule's arrival and their response's completion
  bool failed = false;                 // the connection is lost: nothing is posted any more
  bool retiring = false;               // no more capsules are taken, and none that waits is executed
  QueuePair* next_retiring = nullptr;  // the control thread wants to know when nothing is outstanding

  // Control thread: messages that its group's thread has yet to send back. When it is leaving and none is left, the
  // group's thread has let go.
  unsigned to_come_back = 0;
  bool leaving = false;

  core::Message adopt;
  core::Message retire;   // comes back when nothing is outstanding
  core::Message abandon;  // comes back at once
  core::Message failure;
  ibv_wc_status failure_status = IBV_WC_SUCCESS;  // why, with `failure`
};

}  // namespace nvmf::rdma
