// The end of what an RNIC does not flush. The end of a poll group, and its new beginning: a step each turn of its
// thread, so that whatever else the thread has to do goes on in between. A step sends itself again while there is
// another one.
#include <algorithm>
#include <utility>

#include "target/core/reactor/invariant.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {
namespace {

// In one step.
constexpr unsigned kQueuePairsToFail = 16;

// Its pending sends and reads are dropped, and do not complete any more. False: the RNIC, or the kernel, cannot do it.
bool reset(ibv_qp* queue_pair) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RESET;
  return ibv_modify_qp(queue_pair, &attributes, IBV_QP_STATE) == 0;
}

// Of a queue pair that has failed, so that nothing waits in a list: whether the RNIC has the request, and no disk.
bool is_with_rnic(const RdmaRequest& request) { return request.slot == nullptr || request.is_reading(); }

}  // namespace

// Control thread -----------------------------------------------------------------------------------------------------

void PollGroup::close_to_queue_pairs() {
  if (life_ == Life::Serves) life_ = Life::TakesNoMore;
}

void PollGroup::leave() {
  close_to_queue_pairs();
  if (life_ != Life::TakesNoMore) return;
  life_ = Life::Leaves;
  thread_mailbox_.send(leave_, *this, [](PollGroup& group) {
    group.leaving_ = {.step = LeavingStep::FailQueuePairs};
    group.go_on_leaving();
  });
}

void PollGroup::rebuild() {
  if (life_ != Life::HasLeft) return;
  NVMF_INVARIANT(queue_pairs_ == 0);
  life_ = Life::IsRebuilt;
  thread_mailbox_.send(rebuild_, *this, [](PollGroup& group) {
    group.sets_rebuilt_ = 0;
    group.go_on_rebuilding();
  });
}

// The group's thread -------------------------------------------------------------------------------------------------

void PollGroup::go_on_leaving() {
  NVMF_INVARIANT(leaving_.step != LeavingStep::None);
  switch (leaving_.step) {
    case LeavingStep::None:
      break;
    case LeavingStep::FailQueuePairs:
      if (fail_some_queue_pairs()) break;
      leaving_.step = LeavingStep::TakeCompletions;
      [[fallthrough]];
    case LeavingStep::TakeCompletions:
      flush();  // what this turn has linked ends here, once: it must not be posted after its requests have ended
      if (poll() != 0) break;
      completions_at_once_ = 0;
      leaving_ = {.step = LeavingStep::EndRequests};
      [[fallthrough]];
    case LeavingStep::EndRequests:
      polled_[leaving_.at.set++]->by_number.visit([this](const QueuePair& one) { end_what_rnic_has(one); });
      if (leaving_.at.set != polled_.size()) break;
      leaving_.step = LeavingStep::None;
      return tell_control(leave_, [](PollGroup& group) {
        group.life_ = Life::HasLeft;
        group.owner_->group_left(group);
      });
  }
  thread_mailbox_.send(leave_, *this, [](PollGroup& group) { group.go_on_leaving(); });
}

// False: there is no more. None leaves the tables meanwhile (flush()), and none comes.
bool PollGroup::fail_some_queue_pairs() {
  return visit_some(leaving_.at, kQueuePairsToFail, [this](QueuePair& queue_pair) {
    fail(queue_pair, IBV_WC_FATAL_ERR);
    reset(queue_pair.qp);  // fails when the kernel has ended the queue pair already
  });
}

void PollGroup::end_what_rnic_has(const QueuePair& queue_pair) {
  NVMF_INVARIANT(queue_pair.failed && !queue_pair.dirty);
  queue_pair.visit_commands([&](RdmaRequest& request) {
    if (is_with_rnic(request)) request.slot == nullptr ? end(request) : on_read_done(request, false);
  });
}

// The RNIC may touch the memory of what it has until the queue pair is reset: where that fails they stay, and the owner
// asks again. What has completed by then is taken: a provider may leave it to be found when its request has another
// command.
void PollGroup::begin_end_unflushed(QueuePair& queue_pair) {
  queue_pair.unflushed = 0;
  queue_pair.visit_commands([&](const RdmaRequest& request) {
    if (is_with_rnic(request)) ++queue_pair.unflushed;
  });
  if (queue_pair.unflushed != 0) {
    queue_pair.was_reset = reset(queue_pair.qp);
    take_send_completions(*queue_pair.queues);
    if (queue_pair.was_reset) end_what_rnic_has(queue_pair);
  }
  control_mailbox_.send(queue_pair.flush, queue_pair, [](QueuePair& unflushed) {
    if (unflushed.unflushed != 0) unflushed.group->owner_->queue_pair_not_flushed(unflushed);
    came_back(unflushed);
  });
}

// All that are there; others may come meanwhile.
void PollGroup::take_send_completions(QueueSet& queues) {
  unsigned taken = 0;
  for (uint32_t left = queues.limits.send_completions; left != 0; left -= std::min(left, taken))
    if ((taken = poll_sends(queues)) == 0) return;
}

// No completion is taken before all sets are there.
void PollGroup::go_on_rebuilding() {
  NVMF_INVARIANT(completions_at_once_ == 0);
  rebuild_failure_ = make_queues_anew(*polled_[sets_rebuilt_++]);
  if (rebuild_failure_.empty() && sets_rebuilt_ != polled_.size())
    return thread_mailbox_.send(rebuild_, *this, [](PollGroup& group) { group.go_on_rebuilding(); });
  if (rebuild_failure_.empty()) completions_at_once_ = kCompletionsAtOnce;
  tell_control(rebuild_, [](PollGroup& group) {
    group.life_ = group.rebuild_failure_.empty() ? Life::Serves : Life::HasLeft;
    group.owner_->group_rebuilt(group, group.rebuild_failure_);
  });
}

// Empty, or what failed. The reactor has nothing of this set to do meanwhile.
std::string PollGroup::make_queues_anew(QueueSet& queues) {
  NVMF_INVARIANT(queues.by_number.empty());
  try {
    queues.create_queues();
  } catch (const verbs::VerbsError& error) {
    return error.what();
  }
  queues.receives.take_all();
  queues.refused_receives.take_all();
  queues.slots_refused = 0;
  for (const ReceiveSlab* slab : queues.installed)
    for (ReceiveSlot& slot : slab->slots()) {
      if (slot.sequence != 0) queues.ledger.report(slot);
      repost(slot);
    }
  queues.tell_missing();
  post_receives(queues);
  return {};
}

}  // namespace nvmf::rdma
