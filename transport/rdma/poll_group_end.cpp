// The end of queue pairs that an RNIC does not flush; the end of a poll group, and its new beginning: a step each turn
// of its thread, so that whatever else the thread has to do goes on in between. A step sends itself again while there
// is another one.
#include <algorithm>
#include <utility>

#include "target/core/reactor/invariant.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {
namespace {

// In one step.
constexpr unsigned kQueuePairsToFail = 16;

// Its pending sends and reads are dropped, and do not complete any more.
void reset(ibv_qp* queue_pair) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RESET;
  ibv_modify_qp(queue_pair, &attributes, IBV_QP_STATE);  // fails when the kernel has ended the queue pair already
}

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
    reset(queue_pair.qp);
  });
}

// The requests that are neither in a list nor with a disk: all lists have been emptied.
uint32_t PollGroup::end_what_rnic_has(const QueuePair& queue_pair) {
  NVMF_INVARIANT(queue_pair.failed);
  uint32_t ended = 0;
  queue_pair.visit_commands([&](RdmaRequest& request) {
    if (request.slot != nullptr && !request.is_reading()) return;
    ++ended;
    request.slot == nullptr ? end(request) : on_read_done(request, false);
  });
  return ended;
}

// What has completed by now counts. Some providers take unread completions away with the reset, others leave them: none
// that is found later is good (InfiniBand Architecture Specification 10.3.1, the error state).
void PollGroup::begin_give_up(QueuePair& queue_pair) {
  take_send_completions(*queue_pair.queues);
  reset(queue_pair.qp);
  take_send_completions(*queue_pair.queues);
  queue_pair.unflushed = end_what_rnic_has(queue_pair);
  control_mailbox_.send(queue_pair.give_up, queue_pair, [](QueuePair& given_up) {
    if (given_up.unflushed != 0) given_up.group->owner_->queue_pair_not_flushed(given_up);
    came_back(given_up);
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
