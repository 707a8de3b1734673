// A connected queue for its poll group. Belongs to the poll group's thread from adopt() to the drained message.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <optional>

#include "target/core/datapath/queue.h"
#include "target/core/reactor/intrusive_list.h"
#include "target/core/reactor/mailbox.h"
#include "transport/rdma/answer_progress.h"
#include "transport/rdma/request.h"
#include "transport/rdma/transport_counters.h"

namespace nvmf::rdma {

class PollGroup;
struct QueueSet;

using RequestList = core::IntrusiveList<RdmaRequest, &RdmaRequest::next>;
using ReadList =
    core::IntrusiveDoubleList<RdmaRequest, &RdmaRequest::next, &RdmaRequest::previous, &RdmaRequest::waits_to_read_in>;
using SlotList = core::IntrusiveList<ReceiveSlot, &ReceiveSlot::next>;
using SendList = core::IntrusiveList<ibv_send_wr, &ibv_send_wr::next>;

// What the polls of a receive completion queue have found, in all.
struct ReceivePolls {
  uint32_t completions = 0;
  uint32_t dry = 0;  // polls that have found its end
};

struct QueuePair {
  // Fixed at adoption.
  uint64_t number = 0;  // of its connection
  ibv_qp* qp = nullptr;
  core::Queue* queue = nullptr;
  PollGroup* group = nullptr;
  QueueSet* queues = nullptr;
  uint32_t send_entries = 0;       // of the send queue
  uint8_t read_depth = 1;          // RDMA READs that may be outstanding
  unsigned inline_flag = 0;        // IBV_SEND_INLINE when a completion entry may go into the work request itself
  bool remote_invalidate = false;  // the RNIC can SEND with invalidate
  uint32_t max_requests = 0;       // request objects that it may have at a time: requests_of()

  // Gathered during a turn, posted by flush().
  SendList batch;
  QueuePair* next_dirty = nullptr;
  bool dirty = false;

  uint32_t send_entries_free = 0;
  uint32_t send_entries_taken = 0;  // that have completed, in all
  AnswerProgress progress;
  uint8_t reads_free = 0;
  ReadList waiting_reads;         // for read depth or send queue entries
  RequestList waiting_responses;  // for send queue entries
  uint32_t outstanding = 0;       // commands between their capsule's arrival and their response's completion
  uint32_t slots_held = 0;        // receive slots of these, until their answers are posted: at most the depth
  uint32_t requests_held = 0;     // request objects of these: at most max_requests
  RequestList free_requests;      // its other request objects
  RdmaRequest* lent = nullptr;  // all of its request objects, linked by next_lent: QueueSet's, lent while it is adopted
  SlotList waiting_capsules;    // the others', which wait until it may take a request object
  QueuePair* next_startable = nullptr;
  bool startable = false;              // in WaitingCapsules' list
  bool failed = false;                 // the connection is lost: nothing is posted any more
  bool retiring = false;               // no more capsules are taken, and none that waits is executed
  uint64_t newest_slot = 0;            // SlotLedger: the number of its newest capsule's slot, or of what was before it
  bool awaits_end = false;             // the control thread waits until nothing is outstanding
  QueuePair* next_retiring = nullptr;  // linked when that is so, and while it is being dismissed

  // Control thread: messages that the group's thread has not sent back yet. When the queue pair is leaving and none is
  // left, the group's thread no longer uses it.
  unsigned to_come_back = 0;
  bool leaving = false;

  bool may_take_request() const { return requests_held < max_requests; }
  // The requests of its commands. `visitor` may end them.
  template <class Visitor>
  void visit_commands(Visitor visitor) const {
    uint32_t left = requests_held;
    for (RdmaRequest* request = lent; request != nullptr && left != 0; request = request->next_lent) {
      if (request->queue_pair == nullptr) continue;
      --left;
      visitor(*request);
    }
  }

  core::Message adopt;
  core::Message retire;       // comes back when nothing is outstanding
  core::Message abandon;      // comes back at once
  core::Message flush;        // comes back at once
  core::Message dismiss;      // comes back when nothing of it is in the receive completion queue
  ReceivePolls dismissed_at;  // of its QueueSet by then
  uint32_t unflushed = 0;     // commands, with `flush`
  bool was_reset = false;     // the same: they have ended
  core::Message failure;
  ibv_wc_status failure_status = IBV_WC_SUCCESS;  // why, with `failure`
  const char* failure_reason = nullptr;           // null: the status says it
  std::optional<Stall> stall;                     // the host has not taken its answers
  bool invalidate_failed = false;                 // the RNIC has refused a SEND with invalidate
};

}  // namespace nvmf::rdma
