// The end of a poll group, and its new beginning: a step each turn of its thread, so that whatever else the thread has
// to do goes on in between. A step sends itself again while there is another one.
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
      end_what_rnic_has(*polled_[leaving_.at.set++]);
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

// A request that is neither free nor in a list nor with a disk: all lists have been emptied.
void PollGroup::end_what_rnic_has(QueueSet& queues) {
  queues.visit_requests([this](RdmaRequest& request) {
    if (request.queue_pair == nullptr) return;
    NVMF_INVARIANT(request.queue_pair->failed);
    if (request.slot == nullptr)
      end(request);
    else if (request.is_reading())
      on_read_done(request, false);
  });
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
