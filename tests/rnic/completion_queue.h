// Completion queues and channels. A channel's record is the queue's address, as the kernel gives it.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <deque>

#include "tests/rnic/device.h"

namespace nvmf::rnic {

struct QueuePair;
class SharedReceiveQueue;

struct CompletionChannel : ibv_comp_channel {
  explicit CompletionChannel(Context& opened);
  ~CompletionChannel();
  Context& owner;
  EventPipe records;
};

struct Completion {
  ibv_wc entry{};
  QueuePair* queue_pair = nullptr;         // null once that is destroyed
  uint64_t sent = 0;                       // of a send: its number, up to which send queue entries are free then
  SharedReceiveQueue* receives = nullptr;  // of a receive: whose entry it was
  bool is_dangling = false;                // Profile::keeps_shared_completions: its queue pair is destroyed
};

class CompletionQueue : public ibv_cq {
 public:
  CompletionQueue(Context& opened, int entries, CompletionChannel* channel_of, void* of_owner);
  // Faults when events that were read have not been acknowledged, or a queue pair still uses it.
  ~CompletionQueue();

  Context& owner() const { return owner_; }
  // IBV_EVENT_CQ_ERR when there is no room; the completion is lost then, and all later ones.
  void add(const Completion& completion);
  int poll(int most, ibv_wc* entries);
  void request_event();
  // ibv_get_cq_event() has read a record.
  void on_event();
  void acknowledge(unsigned events) { acknowledged_ += events; }
  // A queue pair is destroyed, or reset.
  void forget(const QueuePair& queue_pair, bool is_destroyed);
  void forget(const SharedReceiveQueue& receives);
  // Those that nobody has read.
  void drop_records() { records_ -= unread_records(); }
  // As if the device had found it broken.
  void fail();

  size_t waiting() const { return completions_.size(); }
  bool failed() const { return failed_; }
  int queue_pairs = 0;

 private:
  void fire();
  unsigned unread_records();

  Context& owner_;
  CompletionChannel* channel_;
  std::deque<Completion> completions_;
  bool failed_ = false;
  bool armed_ = false;
  uint32_t sequence_ = 0;          // Arming::SequenceNumber: what the next call rings with
  uint32_t fired_sequence_ = ~0u;  // that has had its event
  bool asked_ = false;             // Arming::UntilEvent: a call was made since the last event was taken
  bool asked_again_ = false;
  unsigned records_ = 0;  // put into the channel
  unsigned acknowledged_ = 0;
  Life life_;
};

}  // namespace nvmf::rnic
