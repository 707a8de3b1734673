#include "tests/rnic/completion_queue.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tests/rnic/queue_pair.h"
#include "tests/rnic/shared_receive_queue.h"

namespace nvmf::rnic {
namespace {

constexpr uint64_t kInterruptNs = 3'000;

int rounded(const Profile& profile, int entries) {
  return profile.rounds_up_queues ? static_cast<int>(std::bit_ceil(static_cast<unsigned>(entries) + 1)) - 1 : entries;
}

}  // namespace

CompletionChannel::CompletionChannel(Context& opened)
    : ibv_comp_channel{}, owner(opened), records(sizeof(CompletionQueue*)) {
  context = &opened.context;
  fd = records.fd();
  ++owner.objects;
  owner.channels.push_back(this);
}

CompletionChannel::~CompletionChannel() {
  std::erase(owner.channels, this);
  --owner.objects;
}

CompletionQueue::CompletionQueue(Context& opened, int entries, CompletionChannel* channel_of, void* of_owner)
    : ibv_cq{}, owner_(opened), channel_(channel_of) {
  context = &opened.context;
  channel = channel_of;
  cq_context = of_owner;
  cqe = rounded(opened.device.profile(), entries);
  if (channel_ != nullptr) ++channel_->refcnt;
  owner_.completion_queues.push_back(this);
  ++owner_.device.completion_queues;
  ++owner_.objects;
}

// ibv_cmd_destroy_cq() waits until all events that were read are acknowledged; the kernel drops those that were not.
CompletionQueue::~CompletionQueue() {
  const unsigned read = records_ - unread_records();
  if (read != acknowledged_)
    owner_.device.fabric().fault("ibv_destroy_cq() would wait for ever: " + std::to_string(read) +
                                 " events were read, " + std::to_string(acknowledged_) + " acknowledged");
  if (channel_ != nullptr) --channel_->refcnt;
  std::erase(owner_.completion_queues, this);
  --owner_.device.completion_queues;
  --owner_.objects;
}

// Takes those of this queue out of the channel.
unsigned CompletionQueue::unread_records() {
  if (channel_ == nullptr) return 0;
  unsigned own = 0;
  const std::vector<std::byte> records = channel_->records.drain();
  for (size_t offset = 0; offset < records.size(); offset += sizeof(ibv_cq*)) {
    const ibv_cq* of;
    std::memcpy(&of, records.data() + offset, sizeof of);
    if (of == this)
      ++own;
    else
      channel_->records.put(&of);
  }
  return own;
}

void CompletionQueue::add(const Completion& completion) {
  if (failed_) return;
  if (completions_.size() == static_cast<size_t>(cqe)) return fail();
  completions_.push_back(completion);
  if (armed_) fire();
}

void CompletionQueue::fail() {
  if (failed_) return;
  failed_ = true;
  owner_.device.fabric().note("completion queue failed");
  owner_.raise(IBV_EVENT_CQ_ERR, static_cast<ibv_cq*>(this));
}

int CompletionQueue::poll(int most, ibv_wc* entries) {
  int count = 0;
  for (; count < most && !completions_.empty(); ++count) {
    const Completion& completion = completions_.front();
    if (completion.is_dangling)
      owner_.device.fabric().fault(
          "ibv_poll_cq() would read a queue pair that was destroyed before its completion of a "
          "shared receive queue was polled");
    entries[count] = completion.entry;
    if (completion.queue_pair != nullptr && completion.sent != 0) completion.queue_pair->on_polled(completion.sent);
    if (completion.receives != nullptr) completion.receives->on_polled();
    completions_.pop_front();
  }
  return count;
}

void CompletionQueue::request_event() {
  switch (owner_.device.profile().arming) {
    case Arming::Flag:
      armed_ = true;
      break;
    case Arming::SequenceNumber:
      if (sequence_ == fired_sequence_) return;  // stale: wakes nobody
      armed_ = true;
      break;
    case Arming::UntilEvent:
      if (std::exchange(asked_, true)) {
        asked_again_ = true;
        return;
      }
      armed_ = true;
      break;
  }
  if (!completions_.empty() && owner_.device.profile().arming_sees_waiting_completions) fire();
}

void CompletionQueue::on_event() {
  switch (owner_.device.profile().arming) {
    case Arming::Flag:
      break;
    case Arming::SequenceNumber:
      ++sequence_;
      break;
    case Arming::UntilEvent:
      asked_ = std::exchange(asked_again_, false);
      armed_ = armed_ || asked_;
      break;
  }
}

void CompletionQueue::fire() {
  armed_ = false;
  fired_sequence_ = sequence_;
  if (channel_ == nullptr) return;
  Schedule& schedule = owner_.device.schedule();
  schedule.after(schedule.delay_ns(kInterruptNs), life_, [this] {
    if (owner_.device.is_gone()) return;
    const ibv_cq* const record = this;
    ++records_;
    channel_->records.put(&record);
  });
}

void CompletionQueue::forget(const QueuePair& queue_pair, bool is_destroyed) {
  const Profile& profile = owner_.device.profile();
  std::deque<Completion> kept;
  for (Completion& completion : completions_) {
    if (completion.queue_pair == &queue_pair) {
      const bool stays = completion.receives != nullptr && profile.keeps_shared_completions;
      if (profile.destroy_removes_completions && !stays) {
        if (completion.receives != nullptr) completion.receives->on_removed();
        continue;
      }
      completion.is_dangling = stays && is_destroyed;
      if (is_destroyed || !stays) completion.queue_pair = nullptr;
    }
    kept.push_back(completion);
  }
  completions_ = std::move(kept);
}

void CompletionQueue::forget(const SharedReceiveQueue& receives) {
  for (Completion& completion : completions_)
    if (completion.receives == &receives) completion.receives = nullptr;
}

}  // namespace nvmf::rnic
