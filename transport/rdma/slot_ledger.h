// Which receive slots are with a shared receive queue, and which of them will never come back.
//
// A queue pair that is destroyed may take slots with it: the half of a message had arrived (Soft-RoCE), or the provider
// removed its completions (ConnectX). Nothing reports those slots. But slots are taken in the order in which they were
// posted, and a queue pair reports its own in the order in which it took them. So a queue pair holds none that is older
// than its newest report, nor than what had been reported when it was made: where that is true of every queue pair
// there is, the slot is lost and may be posted again. Where nobody has reported a slot since, only this is known: a
// queue pair that has gone may have taken one. The group's thread, but for newest().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "target/core/reactor/invariant.h"
#include "transport/rdma/request.h"

namespace nvmf::rdma {

class SlotLedger {
 public:
  // Posted, and not reported since.
  uint64_t posted() const { return issued_ - reported_; }
  // Older than one that was reported: with queue pairs that are about to report them, or lost.
  uint64_t overdue() const { return newest() - reported_; }
  // Those that may be lost beside the overdue ones, at most.
  uint64_t in_doubt() const { return gone_since_newest_; }
  // The youngest slot that was reported. Any thread: at least what is known there, or less.
  uint64_t newest() const { return newest_.load(std::memory_order_relaxed); }

  void post(ReceiveSlot& slot) {
    NVMF_INVARIANT(slot.sequence == 0);
    slot.sequence = ++issued_;
  }
  // Its receive has completed, however; returns its number.
  uint64_t report(ReceiveSlot& slot) {
    NVMF_INVARIANT(slot.sequence != 0);
    const uint64_t sequence = slot.sequence;
    slot.sequence = 0;
    ++reported_;
    if (sequence > newest()) {
      newest_.store(sequence, std::memory_order_relaxed);
      gone_since_newest_ = 0;  // what they took is overdue now
    }
    return sequence;
  }
  // The shared receive queue has not taken it, nor any that were posted after it.
  void take_back(ReceiveSlot& slot) {
    NVMF_INVARIANT(slot.sequence > newest() && issued_ > reported_);
    slot.sequence = 0;
    --issued_;
  }
  // It may have taken one slot that it has not reported, for half a message.
  void queue_pair_gone() { ++gone_since_newest_; }
  // No queue pair there is can report it: `oldest_report` is the least of their newest ones.
  bool is_lost(const ReceiveSlot& slot, uint64_t oldest_report) const {
    return slot.sequence != 0 && slot.sequence < std::min(oldest_report, newest());
  }

 private:
  uint64_t issued_ = 0;
  uint64_t reported_ = 0;
  uint64_t gone_since_newest_ = 0;  // queue pairs
  std::atomic<uint64_t> newest_{0};
};

}  // namespace nvmf::rdma
