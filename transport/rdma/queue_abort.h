// An abort of commands of one queue pair, as a message from the control thread to the poll group's thread and back.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "target/core/reactor/mailbox.h"
#include "transport/rdma/queue_pair.h"

namespace nvmf::rdma {

struct QueueAbort {
  // Fixed by the control thread.
  QueuePair* queue_pair = nullptr;
  uint32_t nsid = 0;  // all commands on this namespace; 0: the one with the identifier
  uint16_t cid = 0;
  bool quiesces = false;                   // the queue pair: in place of the two above
  std::function<void(bool aborted)> done;  // control thread

  // The group's thread.
  bool aborted = false;
  struct Capsule {
    const ReceiveSlot* slot;
    uint64_t number;  // ReceiveSlot::capsule
  };
  // Whose answers the abort waits for. The control thread has reserved room for as many as a queue can have.
  std::vector<Capsule> unanswered;
  QueueAbort* next_waiting = nullptr;

  core::Message message;
};

}  // namespace nvmf::rdma
