// HOT PATH: the second half of a command's life: its answer, with the data chained to it, the completions of sends, and
// the resources that its end returns to waiting commands.
#include <utility>

#include "target/core/command/fused.h"
#include "target/core/datapath/scratch.h"
#include "target/core/reactor/invariant.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {

using core::Transfer;

// The answer ---------------------------------------------------------------------------------------------------------

void PollGroup::respond(core::Request& request) {
  auto& answered = static_cast<RdmaRequest&>(request);
  answered.queue_pair->group->answer(answered);
}

void PollGroup::answer(RdmaRequest& request) {
  QueuePair& queue_pair = *request.queue_pair;
  count(request);
  if (queue_pair.failed) return end(request);
  if (!queue_pair.waiting_responses.empty() || queue_pair.send_entries_free < entries_of_answer(request)) {
    ++waiting_posts_;
    request.slot->answer_waits = true;
    return queue_pair.waiting_responses.push(request);
  }
  link_answer(request);
}

bool PollGroup::carries_data(const RdmaRequest& request) {
  return request.transfer == Transfer::ControllerToHost && request.cqe.status == 0 &&
         request.pointer.kind == core::DataPointer::Kind::Remote;
}

uint32_t PollGroup::entries_of_answer(const RdmaRequest& request) {
  return 1u + (carries_data(request) ? request.pointer.segment_count : 0u);
}

// The data's RDMA WRITEs, unsignalled, chained to the SEND of the completion entry.
void PollGroup::link_answer(RdmaRequest& request) {
  QueuePair& queue_pair = *request.queue_pair;
  request.posted = static_cast<uint16_t>(entries_of_answer(request));
  NVMF_INVARIANT(request.posted <= queue_pair.send_entries_free);
  queue_pair.send_entries_free -= request.posted;
  if (carries_data(request)) {
    request.moving_since_ns = now_ns();
    request.naps_before = naps_;
    link_segments(request, 0, request.pointer.segment_count, IBV_WR_RDMA_WRITE);
  } else {
    release_buffer(request);
  }

  ibv_send_wr& response = request.response;
  response.next = nullptr;
  response.send_flags = IBV_SEND_SIGNALED | queue_pair.inline_flag;
  if (request.pointer.invalidate && queue_pair.remote_invalidate) {
    response.opcode = IBV_WR_SEND_WITH_INV;
    response.invalidate_rkey = request.pointer.invalidate_key;
  } else {
    response.opcode = IBV_WR_SEND;
  }
  link(queue_pair, response);

  // The capsule is no longer needed: the completion entry is not in it, and in-capsule data has been consumed.
  repost(*std::exchange(request.slot, nullptr));
}

// Its end ------------------------------------------------------------------------------------------------------------

unsigned PollGroup::poll_sends(QueueSet& queues) {
  ibv_wc completions[kCompletionsAtOnce];
  const int count =
      completions_at_once_ == 0 ? 0 : ibv_poll_cq(queues.send_cq.get(), completions_at_once_, completions);
  for (int i = 0; i < count; ++i) on_sent(queues, completions[i]);
  return count > 0 ? static_cast<unsigned>(count) : 0;
}

void PollGroup::on_sent(const QueueSet& queues, const ibv_wc& completion) {
  const bool good = completion.status == IBV_WC_SUCCESS;
  if (!good && !on_send_failed(queues, completion)) [[unlikely]]
    return;
  // What comes with it may have ended its command already: it is not looked at.
  if (completion_of(completion.wr_id) == Completion::Unsignalled) return;
  RdmaRequest& request = request_of(completion.wr_id);
  QueuePair& queue_pair = *request.queue_pair;
  switch (completion_of(completion.wr_id)) {
    case Completion::Response:
      give_back_entries(queue_pair, request.posted);
      if (good && request.naps_before == naps_) count_moved(request, core::RdmaDirection::ToHost);
      end(request);
      break;
    case Completion::ReadDone:
      on_read_done(request, good && !queue_pair.failed);
      break;
    case Completion::Unsignalled:
      break;
  }
  if (waiting_posts_) resume_waiting(queue_pair);
}

// By the number, for the command may be over: what is posted with the answer completes too. False: it comes after
// end_unflushed(), and its request is free, or has another command.
bool PollGroup::on_send_failed(const QueueSet& queues, const ibv_wc& completion) {
  QueuePair* const queue_pair = queues.by_number.find(completion.qp_num);
  if (queue_pair == nullptr) return false;
  const bool ends_command = completion_of(completion.wr_id) != Completion::Unsignalled;
  if (ends_command && request_of(completion.wr_id).queue_pair != queue_pair) return false;
  if (completion.status == IBV_WC_LOC_QP_OP_ERR && completion_of(completion.wr_id) == Completion::Response)
    queue_pair->invalidate_failed = request_of(completion.wr_id).response.opcode == IBV_WR_SEND_WITH_INV;
  fail(*queue_pair, completion.status);
  return true;
}

// Answers before reads: they free buffers and slots.
void PollGroup::resume_waiting(QueuePair& queue_pair) {
  while (RdmaRequest* request = queue_pair.waiting_responses.front()) {
    if (queue_pair.send_entries_free < entries_of_answer(*request)) return;
    queue_pair.waiting_responses.pop();
    request->slot->answer_waits = false;
    count_down(waiting_posts_);
    link_answer(*request);
  }
  while (!queue_pair.waiting_reads.empty() && queue_pair.reads_free != 0 && queue_pair.send_entries_free != 0) {
    count_down(waiting_posts_);
    link_reads(*queue_pair.waiting_reads.pop());
  }
}

void PollGroup::end(RdmaRequest& request) {
  if (request.fused) [[unlikely]]
    core::leave_pair(request);
  if (request.slot) repost(*std::exchange(request.slot, nullptr));
  release_buffer(request);
  core::set_namespace(request, nullptr);
  QueuePair& queue_pair = *std::exchange(request.queue_pair, nullptr);
  count_down(queue_pair.requests_held);
  waiting_capsules_.request_came_free(queue_pair);
  one_command_less(queue_pair);
  queue_pair.free_requests.push_front(request);  // the next command finds it in the cache
}

void PollGroup::one_command_less(QueuePair& queue_pair) {
  in_flight_.add(-uint64_t{1});
  count_down(queue_pair.outstanding);
  if (queue_pair.outstanding == 0 && queue_pair.awaits_end) [[unlikely]]
    drained_.push(queue_pair);
}

void PollGroup::release_buffer(RdmaRequest& request) {
  core::BufferPool* const pool = request.data.pool;
  if (pool == nullptr) return end_in_place(request);
  pool->release(request.data);
  request.data.pool = nullptr;
  buffers_came_free_ = waiting_buffers_ != 0;
}

// Of a read out of the namespace's own memory, if it is one: the blocks may change again.
void PollGroup::end_in_place(RdmaRequest& request) {
  if (request.data.kind != core::MemoryKind::Namespace) return;
  count_down(reads_in_place_);
  request.data.kind = core::MemoryKind::Dram;
  request.ns->channel->end_in_place(request);
}

// Once a turn, and not where a buffer comes free: that may be in the middle of anything.
unsigned PollGroup::serve_waiters() {
  buffers_came_free_ = false;
  unsigned served = 0;
  for (core::BufferPool* pool : tables_.pools()) {
    while (pool->has_waiters()) {
      core::Request* const request = pool->serve_next();
      if (request == nullptr) break;
      count_down(waiting_buffers_);
      ++served;
      proceed_with_buffer(static_cast<RdmaRequest&>(*request));
    }
  }
  return served;
}

// Counters -----------------------------------------------------------------------------------------------------------

void PollGroup::count(const RdmaRequest& request) {
  if (!request.ns) return count_other(request);
  core::IoCounters& counters = request.ns->counters;
  const core::CommandKind kind = core::kCommandKindOf[request.sqe->opcode];
  counters.commands.count(kind, core::Status(request.cqe.status >> 1));
  const auto operation = static_cast<size_t>(core::operation_of(kind));
  const uint64_t now = now_ns();
  const core::LatencyHistogram::Sample taken(now - request.slot->arrived_ns);
  counters.latency.target[operation].add(taken);
  if (request.executed_ns != 0) counters.latency.device[operation].add(now - request.executed_ns);
  if (request.cqe.status != 0) return counters.errors.add(1);
  if (request.transfer == Transfer::None) return counters.other_commands.add(1);
  const bool to_host = request.transfer == Transfer::ControllerToHost;
  const auto path = static_cast<size_t>(request.path);
  core::PathCounters& of_namespace = (to_host ? counters.reads : counters.writes)[path];
  of_namespace.commands.add(1);
  of_namespace.bytes.add(request.length_bytes);
  core::TrafficCounters& traffic = request.queue->traffic;
  core::TransferCounters& of_queue = (to_host ? traffic.reads : traffic.writes)[path];
  of_queue.latency.add(taken);
  of_queue.bytes.add(request.length_bytes);
}

void PollGroup::count_other(const RdmaRequest& request) {
  other_commands_.count(core::kind_without_namespace(*request.sqe, request.queue->qid == 0),
                        core::Status(request.cqe.status >> 1));
}

}  // namespace nvmf::rdma
