// The completion queues and the shared receive queue that some of a poll group's queue pairs share, with their receive
// slots and request objects. One set is enough until what an RNIC allows one of its queues is used up: then the group
// makes another one. The fields are grouped by the thread that may touch them.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "target/core/reactor/counter.h"
#include "target/core/reactor/intrusive_list.h"
#include "target/core/reactor/mailbox.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/queue_pair_table.h"
#include "transport/rdma/receive_slab.h"
#include "transport/rdma/slot_ledger.h"
#include "transport/verbs/verbs.h"

namespace nvmf::rdma {

// What one set has room for.
struct QueueSetLimits {
  uint32_t slots = 0;
  uint32_t send_completions = 0;
  uint32_t queue_pairs = 0;

  // Of this device, without using all that it has: other programs use it, too. Throws VerbsError.
  static QueueSetLimits of(ibv_context* context);
  static QueueSetLimits of(const ibv_device_attr& device);
  // Queues of `depth` entries that post at most `send_entries` work requests each.
  uint32_t capacity(uint32_t depth, uint32_t send_entries) const;
  // Memory of a full set, about.
  uint64_t memory_bytes(uint32_t in_capsule_bytes) const;
};

// The search for slots that queue pairs took with them, and what the control thread knows when it asks for it.
struct SlotSearch {
  bool is_under_way = false;
  bool again = false;                   // queue pairs were dismissed or destroyed since
  uint32_t dismissals = 0;              // QueueSet's
  uint64_t oldest_report = UINT64_MAX;  // SlotLedger: of the queue pairs that were still to be destroyed
};

struct QueueSet {
  // Throws VerbsError. `of`, `domain` and `channel` outlive the set.
  QueueSet(PollGroup& of, ibv_pd* domain, ibv_comp_channel* channel, const QueueSetLimits& limits,
           uint32_t in_capsule_bytes);
  ~QueueSet();
  QueueSet(const QueueSet&) = delete;
  QueueSet& operator=(const QueueSet&) = delete;

  // Control thread ------------------------------------------------------------------------------------------------

  bool has_room(uint32_t depth, uint32_t send_entries) const;
  // Where there is room; returns the slab that it takes besides, not yet installed, or null. Throws std::system_error.
  ReceiveSlab* reserve(uint32_t depth, uint32_t send_entries);
  void unreserve(uint32_t depth, uint32_t send_entries);
  ReceiveSlab& add_slab(uint32_t slots);

  // The group's thread, or before it runs -------------------------------------------------------------------------

  // Makes the queues anew: no queue pair uses them. Throws VerbsError.
  void create_queues();
  void tell_missing() {
    slots_missing.add(ledger.overdue() + slots_refused - slots_missing.get());
    slots_in_doubt.add(ledger.in_doubt() - slots_in_doubt.get());
  }
  // Request objects for an adopted queue pair, as many as it may have; and back, when none is in use.
  void lend_requests(QueuePair& queue_pair);
  void take_back_requests(QueuePair& queue_pair);
  // All request objects of its slabs.
  template <class Visitor>
  void visit_requests(Visitor visitor) const {
    for (const ReceiveSlab* slab : installed)
      for (RdmaRequest& request : slab->requests()) visitor(request);
  }

  // Fixed.
  PollGroup& group;
  ibv_pd* const domain;
  ibv_comp_channel* const channel;
  const QueueSetLimits limits;
  const uint32_t in_capsule_bytes;

  // Made by the group's thread while no queue pair uses them; read by both.
  verbs::CompletionQueue receive_cq;
  verbs::CompletionQueue send_cq;
  verbs::SharedReceiveQueue shared_receives;

  // Control thread.
  std::vector<std::unique_ptr<ReceiveSlab>> slabs;
  uint32_t slots = 0;
  uint32_t slots_reserved = 0;
  uint32_t send_completions_reserved = 0;
  uint32_t queue_pairs = 0;
  uint32_t dismissals = 0;               // of queue pairs that it was told of, in all
  std::vector<const QueuePair*> ending;  // of these, those that are still to be destroyed
  SlotSearch search;                     // travels with lost_slots
  core::Message adopt;
  core::Message lost_slots;  // comes back

  // Any thread.
  core::Counter slots_missing;   // SlotLedger::overdue(), and those refused; written by the group's thread
  core::Counter slots_in_doubt;  // SlotLedger::in_doubt(); written by the group's thread

  // The group's thread.
  std::vector<const ReceiveSlab*> installed;
  RequestList spare_requests;  // that no queue pair has
  QueuePairTable by_number;
  core::IntrusiveList<ibv_recv_wr, &ibv_recv_wr::next> receives;  // to be posted by PollGroup::flush()
  SlotLedger ledger;                                              // with those
  uint32_t dismissed = 0;                                         // queue pairs, in all
  ReceivePolls polls;
  bool receive_armed = false;
  bool send_armed = false;
  uint32_t receive_events = 0;  // to be acknowledged before the completion queues go
  uint32_t send_events = 0;
  // For these the shared receive queue has no room: providers do not give back that of entries which a queue pair took
  // with it.
  core::IntrusiveList<ibv_recv_wr, &ibv_recv_wr::next> refused_receives;
  uint32_t slots_refused = 0;

 private:
  uint32_t slots_needed_with(uint32_t depth) const;  // one more queue of that depth
  void acknowledge_events();
};

}  // namespace nvmf::rdma
