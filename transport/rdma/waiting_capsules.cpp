// HOT PATH, for queues whose hosts are slow to take answers.
#include "transport/rdma/waiting_capsules.h"

#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {

void WaitingCapsules::add(ReceiveSlot& slot) {
  slot.queue_pair->waiting_capsules.push(slot);
  ++count_;
}

void WaitingCapsules::request_came_free(QueuePair& queue_pair) {
  if (queue_pair.waiting_capsules.empty() || queue_pair.startable) return;
  queue_pair.startable = true;
  startable_.push(queue_pair);
}

ReceiveSlot* WaitingCapsules::take() {
  while (QueuePair* const queue_pair = startable_.pop()) {
    queue_pair->startable = false;
    if (!queue_pair->may_take_request()) continue;
    ReceiveSlot* const slot = queue_pair->waiting_capsules.pop();
    if (slot == nullptr) continue;
    NVMF_INVARIANT(count_ != 0);
    --count_;
    request_came_free(*queue_pair);
    return slot;
  }
  return nullptr;
}

ReceiveSlot* WaitingCapsules::find(const QueuePair& queue_pair, uint16_t cid) {
  ReceiveSlot* slot = queue_pair.waiting_capsules.front();
  while (slot != nullptr && slot->command().cid != cid) slot = slot->next;
  return slot;
}

ReceiveSlot* WaitingCapsules::drop(QueuePair& queue_pair) {
  if (queue_pair.startable) startable_.remove(queue_pair);
  queue_pair.startable = false;
  ReceiveSlot* const dropped = queue_pair.waiting_capsules.take_all();
  for (const ReceiveSlot* slot = dropped; slot != nullptr; slot = slot->next) {
    NVMF_INVARIANT(count_ != 0);
    --count_;
  }
  return dropped;
}

}  // namespace nvmf::rdma
