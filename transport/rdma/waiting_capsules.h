// Capsules that wait in their receive slots because their queue already uses all the request objects that it may have:
// its host has not taken the answers yet. Queues take turns; each queue's capsules stay in order. The group's thread.
#pragma once

#include <cstdint>

#include "target/core/reactor/intrusive_list.h"
#include "transport/rdma/queue_pair.h"

namespace nvmf::rdma {

class WaitingCapsules {
 public:
  bool empty() const { return count_ == 0; }
  void add(ReceiveSlot& slot);
  // The queue uses one request object less: its next capsule may be taken.
  void request_came_free(QueuePair& queue_pair);
  // Removes and returns the next capsule that can be started, null when there is none.
  ReceiveSlot* take();
  // The waiting capsule of the command, null when none waits. It continues to wait.
  static ReceiveSlot* find(const QueuePair& queue_pair, uint16_t cid);
  // Removes all capsules of a failed queue pair, and returns them as a chain through ReceiveSlot::next.
  ReceiveSlot* drop(QueuePair& queue_pair);

 private:
  core::IntrusiveList<QueuePair, &QueuePair::next_startable> startable_;
  uint32_t count_ = 0;  // capsules
};

}  // namespace nvmf::rdma
