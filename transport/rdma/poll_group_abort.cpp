// Finds commands to be aborted in the places where they wait in this transport (core/command/abort.h has the rest).
#include <algorithm>
#include <cstring>
#include <utility>

#include "target/core/command/abort.h"
#include "target/core/command/command.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/rate_limit.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {
namespace {

bool names(const QueueAbort& abort, const RdmaRequest& request) {
  if (abort.nsid != 0) return request.ns && request.ns->nsid == abort.nsid;
  return request.sqe->cid == abort.cid;
}

// Preempt and Abort aborts all commands on a namespace, Abort one.
core::Status status_of(const QueueAbort& abort) { return abort.nsid != 0 ? core::kPreempted : core::kAbortRequested; }

void await(QueueAbort& abort, const ReceiveSlot& slot) {
  if (abort.unanswered.size() < abort.unanswered.capacity()) abort.unanswered.push_back({&slot, slot.capsule});
}

// Of a queue that is quiesced: the command is over but for the answer, which a host that takes none can delay for ever.
bool is_over(const QueueAbort& abort, const QueueAbort::Capsule& awaited) {
  const ReceiveSlot& slot = *awaited.slot;
  if (slot.queue_pair != abort.queue_pair || slot.capsule != awaited.number) return true;
  return abort.quiesces && slot.answer_waits;
}

// What is over stays over: one that is not is enough to be looked at.
bool is_over(QueueAbort& abort) {
  while (!abort.unanswered.empty() && is_over(abort, abort.unanswered.back())) abort.unanswered.pop_back();
  return abort.unanswered.empty();
}

}  // namespace

// Control thread -----------------------------------------------------------------------------------------------------

void PollGroup::abort(QueuePair& queue_pair, uint16_t cid, std::function<void(bool aborted)> done) {
  auto abort = std::make_unique<QueueAbort>();
  abort->cid = cid;
  abort->done = std::move(done);
  abort->unanswered.reserve(1);
  send(queue_pair, std::move(abort));
}

void PollGroup::abort_all(QueuePair& queue_pair, uint32_t nsid, std::function<void()> done) {
  auto abort = std::make_unique<QueueAbort>();
  abort->nsid = nsid;
  abort->done = [done = std::move(done)](bool) { done(); };
  abort->unanswered.reserve(queue_pair.queue->depth);
  send(queue_pair, std::move(abort));
}

void PollGroup::quiesce(QueuePair& queue_pair, std::function<void()> done) {
  auto abort = std::make_unique<QueueAbort>();
  abort->quiesces = true;
  abort->done = [done = std::move(done)](bool) { done(); };
  abort->unanswered.reserve(queue_pair.queue->depth);
  send(queue_pair, std::move(abort));
}

void PollGroup::send(QueuePair& queue_pair, std::unique_ptr<QueueAbort> abort) {
  ++queue_pair.to_come_back;
  abort->queue_pair = &queue_pair;
  QueueAbort& sent = *aborts_.emplace_back(std::move(abort));
  thread_mailbox_.send(sent.message, sent, [](QueueAbort& begun) {
    PollGroup& group = *begun.queue_pair->group;
    begun.quiesces ? group.begin_quiesce(begun) : group.begin_abort(begun);
  });
}

void PollGroup::end_abort(QueueAbort& ended) {
  const auto place = std::ranges::find_if(aborts_, [&](const auto& one) { return one.get() == &ended; });
  const std::unique_ptr<QueueAbort> abort = std::move(*place);
  aborts_.erase(place);
  abort->done(abort->aborted);
  came_back(*abort->queue_pair);
}

// The group's thread -------------------------------------------------------------------------------------------------

void PollGroup::begin_abort(QueueAbort& abort) {
  if (abort.nsid == 0) abort_waiting_capsule(abort);
  abort.queue_pair->visit_commands([&](RdmaRequest& request) {
    const ReceiveSlot* slot = request.slot;
    if (!slot || !names(abort, request)) return;
    const bool aborted = abort_waiting(request, status_of(abort));
    abort.aborted |= aborted;
    if (aborted || abort.nsid != 0) await(abort, *slot);
  });
  aborting_.push(abort);
  ++aborts_waiting_;
}

// What is left then is with its disk, or on the control thread. Fabrics commands change no medium; one of them is the
// Disconnect that waits for this.
void PollGroup::begin_quiesce(QueueAbort& quiesce) {
  QueuePair& queue_pair = *quiesce.queue_pair;
  drop_waiting(queue_pair);
  queue_pair.visit_commands([&](const RdmaRequest& request) {
    if (request.slot == nullptr || request.is_reading()) return;
    if (request.sqe->opcode != nvme_admin_fabrics) await(quiesce, *request.slot);
  });
  aborting_.push(quiesce);
  ++aborts_waiting_;
}

// What waits in the core. A request whose data is under way ends when that has arrived.
void PollGroup::drop_held(QueuePair& queue_pair) {
  queue_pair.visit_commands([](RdmaRequest& request) {
    if (request.slot == nullptr || request.slot->answer_waits || request.is_reading()) return;
    core::drop_held(request, [](core::Request& held) {
      auto& dropped = static_cast<RdmaRequest&>(held);
      dropped.queue_pair->group->end(dropped);
    });
  });
}

// The capsule is answered when it gets a request object.
void PollGroup::abort_waiting_capsule(QueueAbort& abort) {
  ReceiveSlot* const slot = WaitingCapsules::find(*abort.queue_pair, abort.cid);
  if (slot == nullptr) return;
  slot->aborted = true;
  abort.aborted = true;
  await(abort, *slot);
}

// Parsed like any other: it may leave half a fused pair behind.
void PollGroup::start_aborted(RdmaRequest& request) {
  request.slot->aborted = false;
  core::parse(request);
  core::finish(request, core::kAbortRequested);
}

bool PollGroup::abort_waiting(RdmaRequest& request, core::Status status) {
  if (request.slot->answer_waits) return false;
  if (withdraw(request)) {
    core::finish(request, status);
    return true;
  }
  if (!request.is_reading()) return core::abort_executed(request, status);
  request.execute = core::abort_instead(status);
  return true;
}

// Removes the request from the list in which it waits, if any.
bool PollGroup::withdraw(RdmaRequest& request) {
  if (!request.queue_pair->waiting_reads.remove(request)) return withdraw_before_its_data(request);
  count_down(waiting_posts_);
  return true;
}

// The same where it has no buffer yet.
bool PollGroup::withdraw_before_its_data(RdmaRequest& request) {
  if (request.waits_in == nullptr) return false;
  if (request.ns && request.ns->throttle && request.ns->throttle->remove(request)) {
    count_down(throttled_);
    return true;
  }
  for (core::BufferPool* pool : tables_.pools()) {
    if (!pool->remove_waiter(request)) continue;
    count_down(waiting_buffers_);
    buffers_came_free_ = waiting_buffers_ != 0;
    return true;
  }
  return false;
}

// Answers that were pending may have been sent by now: a few aborts at the end of each turn, in turn, and all before
// the thread sleeps.
void PollGroup::report_aborted(uint32_t most) {
  for (uint32_t left = std::min(most, aborts_waiting_); left != 0; --left) {
    QueueAbort& abort = *aborting_.pop();
    if (!is_over(abort)) {
      aborting_.push(abort);
      continue;
    }
    count_down(aborts_waiting_);
    control_mailbox_.send(abort.message, abort, [](QueueAbort& ended) { ended.queue_pair->group->end_abort(ended); });
  }
}

}  // namespace nvmf::rdma
