// HOT PATH: the life of a command, in order: capsule, data from the host, execution; and the turn that moves it on.
// Its answer is poll_group_answer_datapath.cpp.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "target/core/command/command.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/memory_policy.h"
#include "target/core/datapath/scratch.h"
#include "target/core/reactor/invariant.h"
#include "transport/rdma/poll_group.h"

namespace nvmf::rdma {

using core::Transfer;

// One turn -----------------------------------------------------------------------------------------------------------

// Sends first: they free what new capsules need. By index: a capsule may have messages delivered, and these add sets.
unsigned PollGroup::poll() {
  now_ns_ = 0;
  unsigned sent = 0;
  unsigned received = 0;
  for (QueueSet* queues : polled_) sent += poll_sends(*queues);
  if (!waiting_capsules_.empty()) [[unlikely]]
    start_waiting_capsules();
  for (size_t i = 0; i < polled_.size(); ++i) received += poll_receives(*polled_[i]);
  const unsigned resumed = throttled_ == 0 ? 0 : resume_throttled();
  const unsigned served = buffers_came_free_ ? serve_waiters() : 0;
  now_ns_ = 0;  // next come the disks' completions, after a system call
  return found_ = sent + received + resumed + served;
}

void PollGroup::flush() {
  while (QueuePair* const queue_pair = dirty_.pop()) {
    queue_pair->dirty = false;
    ibv_send_wr* bad = nullptr;
    if (ibv_post_send(queue_pair->qp, queue_pair->batch.take_all(), &bad) != 0) on_post_failed(*queue_pair, bad);
  }
  extra_used_ = 0;
  for (QueueSet* queues : polled_)
    if (!queues->receives.empty() && completions_at_once_ != 0) post_receives(*queues);
  if (!aborting_.empty()) report_aborted(kAbortsPerTurn);
  if (!drained_.empty()) report_drained();
  if (!dismissing_.empty() && leaving_.step == LeavingStep::None) report_dismissed();
  if (tables_.is_changing()) tables_.report_changed();
}

void PollGroup::post_receives(QueueSet& queues) {
  ibv_recv_wr* bad = nullptr;
  if (ibv_post_srq_recv(queues.shared_receives.get(), queues.receives.take_all(), &bad) != 0) [[unlikely]]
    on_receives_refused(queues, bad);
}

bool PollGroup::arm() {
  if (!dismissing_.empty()) return false;
  if (!aborting_.empty()) report_aborted(aborts_waiting_);
  if (completions_at_once_ == 0) return true;
  const bool arms_sends = send_events_wanted() || (options_.wake_on_reads_in_place && reads_in_place_ != 0);
  for (QueueSet* queues : polled_) {
    if (!queues->receive_armed) queues->receive_armed = arm(queues->receive_cq);
    if (!queues->send_armed && arms_sends) queues->send_armed = arm(queues->send_cq);
  }
  // Where the last look found something there may be more by now, and a look is much cheaper than a sleep.
  if (!event_comes_ || found_ != 0 || has_work_of_its_own()) {
    if (poll() != 0) return false;
    event_comes_ = true;
  }
  ++naps_;
  return true;
}

bool PollGroup::arm(const verbs::CompletionQueue& queue) {
  event_comes_ = false;
  return ibv_req_notify_cq(queue.get(), 0) == 0;
}

// What poll() does without a completion: the end of a queue pair whose work requests were refused may have given the
// others what they wait for.
bool PollGroup::has_work_of_its_own() const { return buffers_came_free_ || !waiting_capsules_.empty(); }

// The completion of an answer frees a buffer, a request and send queue entries: worth a wake-up only when a command
// waits for one of these.
bool PollGroup::send_events_wanted() const {
  return options_.wake_on_responses || reads_in_flight_ != 0 || waiting_posts_ != 0 || waiting_buffers_ != 0 ||
         !waiting_capsules_.empty() || retiring_ != 0;
}

// Takes all events. Each queue that is armed may have one: where none is, no system call is needed to find that out.
bool PollGroup::on_wake() {
  const auto is_armed = [](const QueueSet* queues) { return queues->receive_armed || queues->send_armed; };
  do {
    const ibv_cq* const queue = verbs::next_completion_event(channel_.get());
    if (queue == nullptr && errno != EINTR) return errno == EAGAIN;
    if (queue != nullptr) note_event(queue);
  } while (std::ranges::any_of(polled_, is_armed));
  return true;
}

void PollGroup::note_event(const ibv_cq* queue) {
  for (QueueSet* queues : polled_) {
    if (queue == queues->receive_cq.get()) {
      queues->receive_armed = false;
      ++queues->receive_events;
    } else if (queue == queues->send_cq.get()) {
      queues->send_armed = false;
      ++queues->send_events;
    }
  }
}

// The capsule --------------------------------------------------------------------------------------------------------

unsigned PollGroup::poll_receives(QueueSet& queues) {
  ibv_wc completions[kCompletionsAtOnce];
  const int count =
      completions_at_once_ == 0 ? 0 : ibv_poll_cq(queues.receive_cq.get(), completions_at_once_, completions);
  for (int i = 0; i < count; ++i) on_capsule(queues, completions[i]);
  const unsigned found = count > 0 ? static_cast<unsigned>(count) : 0;
  if (count < kCompletionsAtOnce) ++queues.polls.dry;
  queues.polls.completions += found;
  return found;
}

void PollGroup::on_capsule(QueueSet& queues, const ibv_wc& completion) {
  ReceiveSlot& slot = *std::bit_cast<ReceiveSlot*>(completion.wr_id);
  NVMF_INVARIANT(slot.queue_pair == nullptr);
  const uint64_t sequence = queues.ledger.report(slot);
  if (completion.status != IBV_WC_SUCCESS) return repost(slot);
  QueuePair* queue_pair = queues.by_number.find(completion.qp_num);
  if (queue_pair == nullptr) {  // its adoption was sent before the connection was accepted: it is in the mailbox
    thread_mailbox_.receive_all();
    queue_pair = queues.by_number.find(completion.qp_num);
  }
  if (queue_pair == nullptr) return repost(slot);
  queue_pair->newest_slot = sequence;
  if (queue_pair->failed || queue_pair->retiring) return repost(slot);
  if (completion.byte_len < core::limits::kSqeBytes) {
    repost(slot);
    return fail(*queue_pair, IBV_WC_LOC_LEN_ERR);
  }
  if (queue_pair->slots_held == queue_pair->queue->depth) [[unlikely]] {
    repost(slot);
    return fail(*queue_pair, IBV_WC_REM_INV_REQ_ERR, "the host sent more commands than its queue has entries");
  }
  slot.queue_pair = queue_pair;
  slot.capsule = sequence;
  ++queue_pair->slots_held;
  slot.capsule_bytes = completion.byte_len;
  slot.arrived_ns = now_ns();
  ++queue_pair->outstanding;
  in_flight_.add(1);
  if (!queue_pair->waiting_capsules.empty() || !queue_pair->may_take_request()) [[unlikely]]
    return waiting_capsules_.add(slot);
  start(take_request(slot));
}

// Capsules whose queue had no request object left to take.
void PollGroup::start_waiting_capsules() {
  while (ReceiveSlot* const slot = waiting_capsules_.take()) {
    RdmaRequest& request = take_request(*slot);
    if (slot->aborted) [[unlikely]]
      start_aborted(request);
    else
      start(request);
  }
}

RdmaRequest& PollGroup::take_request(ReceiveSlot& slot) {
  RequestList& free_requests = slot.queue_pair->free_requests;
  NVMF_INVARIANT(!free_requests.empty());  // each queue keeps to its share
  RdmaRequest& request = *free_requests.pop();
  ++slot.queue_pair->requests_held;
  request.slot = &slot;
  request.queue_pair = slot.queue_pair;
  request.queue = slot.queue_pair->queue;
  request.sqe = &slot.command();
  request.respond = &PollGroup::respond;
  request.data = {};
  request.pointer.kind = core::DataPointer::Kind::None;
  request.pointer.invalidate = false;
  request.executed_ns = 0;
  request.moving_since_ns = 0;
  return request;
}

void PollGroup::start(RdmaRequest& request) {
  const ReceiveSlot& slot = *request.slot;
  core::Status status = core::parse(request);
  if (status.ok()) {
    const std::span<const std::byte> in_capsule(slot.in_capsule, slot.capsule_bytes - core::limits::kSqeBytes);
    status = core::parse_data_pointer(*request.sqe, in_capsule, request.length_bytes,
                                      request.transfer == Transfer::HostToController, request.pointer);
  }
  if (!status.ok()) return status == core::kNoAnswer ? end(request) : core::finish(request, status);
  if (request.ns != nullptr && request.ns->throttle != nullptr) [[unlikely]]
    return throttle(request);
  place_data(request);
}

// Of a queue pair that has failed: nobody waits for their answers.
void PollGroup::drop_waiting_capsules(QueuePair& queue_pair) {
  for (ReceiveSlot* slot = waiting_capsules_.drop(queue_pair); slot != nullptr;) {
    ReceiveSlot* const next = slot->next;
    slot->aborted = false;
    one_command_less(queue_pair);
    repost(*slot);
    slot = next;
  }
}

// Its data -----------------------------------------------------------------------------------------------------------

void PollGroup::place_data(RdmaRequest& request) {
  if (request.fused) [[unlikely]]
    return use_capsule_room(request);
  switch (request.pointer.kind) {
    case core::DataPointer::Kind::None:
      return request.scratch_bytes == 0 ? execute(request) : take_buffer(request);
    case core::DataPointer::Kind::InCapsule:
      return use_in_capsule_data(request);
    case core::DataPointer::Kind::Remote:
      return is_read_in_place(request) ? use_namespace_memory(request) : take_buffer(request);
  }
}

// Of a namespace in memory that is registered with the RNIC. Not a write: an RDMA READ that breaks off would leave half
// a block there, and NVMe has blocks be atomic then too (AWUPF, NVM Command Set 1.0, section 2.1.4.2).
bool PollGroup::is_read_in_place(const RdmaRequest& request) {
  return request.ns != nullptr && request.ns->memory.address != nullptr &&
         request.transfer == Transfer::ControllerToHost && !request.processor_needs_data;
}

// The backend keeps the blocks from changing until the RNIC is done with them: release_buffer().
void PollGroup::use_namespace_memory(RdmaRequest& request) {
  request.data.address = request.ns->memory.address + (request.slba << request.ns->lba_shift);
  request.data.length_bytes = request.length_bytes;
  request.data.lkey = request.ns->memory.lkey;
  request.data.kind = core::MemoryKind::Namespace;
  request.path = core::DataPath::Direct;
  ++reads_in_place_;
  execute(request);
}

void PollGroup::execute(RdmaRequest& request) {
  request.executed_ns = now_ns();
  request.execute(request);
}

// Half of a fused operation has its data in its slot (see fused.h), on a page boundary.
void PollGroup::use_capsule_room(RdmaRequest& request) {
  NVMF_INVARIANT(request.ns != nullptr);  // both halves have a namespace
  ReceiveSlot& slot = *request.slot;
  request.data.address = slot.in_capsule;
  request.data.length_bytes = request.length_bytes;
  request.data.lkey = slot.pieces[1].lkey;
  request.data.fixed_index = slot.fixed_index;
  if (request.ns->p2p.mode != core::P2pMode::Off) count_fallback(request, core::Fallback::ProcessorNeeds);
  if (request.pointer.kind == core::DataPointer::Kind::Remote) {
    request.path = core::DataPath::Dram;
    return begin_reads(request);
  }
  request.path = core::DataPath::InCapsule;
  std::memmove(slot.in_capsule, slot.in_capsule + request.pointer.capsule_offset, request.length_bytes);
  execute(request);
}

// In-capsule data is used in place, unless the disk cannot write from such an address or a buffer is needed anyway.
void PollGroup::use_in_capsule_data(RdmaRequest& request) {
  std::byte* address = request.slot->in_capsule + request.pointer.capsule_offset;
  const uint32_t alignment = request.ns ? request.ns->memory_alignment_bytes : 1;
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0 || request.scratch_bytes != 0) return take_buffer(request);
  request.path = core::DataPath::InCapsule;
  request.data.address = address;
  request.data.length_bytes = request.length_bytes;
  request.data.fixed_index = request.slot->fixed_index;
  execute(request);
}

void PollGroup::take_buffer(RdmaRequest& request) {
  core::BufferPool* pool = dram_.get();
  if (request.ns && request.pointer.kind == core::DataPointer::Kind::Remote) {
    const core::MemoryChoice choice = core::choose_memory(request);
    if (!choice.status.ok()) return core::finish(request, choice.status);
    if (choice.fallback != core::Fallback::None) count_fallback(request, choice.fallback);
    if (choice.pool) pool = choice.pool;
  }
  if (pool->take(request)) return proceed_with_buffer(request);
  if (pool != dram_.get() && request.ns->p2p.when_dry == core::P2pWhenDry::Spill) {
    count_fallback(request, core::Fallback::PoolDry);
    pool = dram_.get();
    if (pool->take(request)) return proceed_with_buffer(request);
  }
  if (request.ns) request.ns->counters.waits.add(1);
  ++waiting_buffers_;
  pool->wait(request);
}

void PollGroup::proceed_with_buffer(RdmaRequest& request) {
  if (request.pointer.kind == core::DataPointer::Kind::InCapsule) {
    std::memcpy(request.data.address, request.slot->in_capsule + request.pointer.capsule_offset, request.length_bytes);
    request.path = core::DataPath::InCapsule;
    return execute(request);
  }
  request.path = request.data.kind == core::MemoryKind::Cmb ? core::DataPath::Cmb : core::DataPath::Dram;
  if (request.transfer != Transfer::HostToController) return execute(request);
  begin_reads(request);
}

void PollGroup::begin_reads(RdmaRequest& request) {
  request.segments_read = 0;
  request.segments_in_flight = 0;
  request.moving_since_ns = now_ns();
  read_from_host(request);
}

// RDMA READs never exceed the negotiated depth: otherwise the queue pair would stall, with all later work requests.
void PollGroup::read_from_host(RdmaRequest& request) {
  QueuePair& queue_pair = *request.queue_pair;
  if (!queue_pair.waiting_reads.empty() || queue_pair.reads_free == 0 || queue_pair.send_entries_free == 0) {
    ++waiting_posts_;
    return queue_pair.waiting_reads.push(request);
  }
  link_reads(request);
}

// As many of the request's segments as there is room for; the completion of the last one covers all.
void PollGroup::link_reads(RdmaRequest& request) {
  QueuePair& queue_pair = *request.queue_pair;
  const uint32_t left = request.pointer.segment_count - request.segments_read;
  const uint32_t run = std::min({left, uint32_t{queue_pair.reads_free}, queue_pair.send_entries_free});
  NVMF_INVARIANT(run != 0);
  ibv_send_wr* last = link_segments(request, request.segments_read, run, IBV_WR_RDMA_READ);
  last->wr_id = request.completion_id(Completion::ReadDone);
  last->send_flags = IBV_SEND_SIGNALED;
  request.segments_in_flight = static_cast<uint8_t>(run);
  queue_pair.reads_free = static_cast<uint8_t>(queue_pair.reads_free - run);
  queue_pair.send_entries_free -= run;
  ++reads_in_flight_;
}

void PollGroup::on_read_done(RdmaRequest& request, bool good) {
  QueuePair& queue_pair = *request.queue_pair;
  NVMF_INVARIANT(reads_in_flight_ != 0);
  --reads_in_flight_;
  NVMF_INVARIANT(queue_pair.reads_free + request.segments_in_flight <= queue_pair.read_depth);
  queue_pair.reads_free = static_cast<uint8_t>(queue_pair.reads_free + request.segments_in_flight);
  give_back_entries(queue_pair, request.segments_in_flight);
  request.segments_read = static_cast<uint8_t>(request.segments_read + request.segments_in_flight);
  if (!good || queue_pair.retiring) return end(request);
  if (request.segments_read < request.pointer.segment_count) return read_from_host(request);
  count_moved(request, core::RdmaDirection::FromHost);
  execute(request);
}

// Work requests ------------------------------------------------------------------------------------------------------

// Links `count` segments from `first` on, all unsignalled; returns the last work request.
ibv_send_wr* PollGroup::link_segments(RdmaRequest& request, uint32_t first, uint32_t count, ibv_wr_opcode opcode) {
  if (extra_used_ + count > extra_segments_.size()) flush();
  uint64_t offset = 0;
  for (uint32_t i = 0; i < first; ++i) offset += request.pointer.segments[i].length_bytes;

  ibv_send_wr* last = nullptr;
  for (uint32_t i = first; i < first + count; ++i) {
    const core::RemoteSegment& segment = request.pointer.segments[i];
    const bool own = i == 0;
    ibv_sge& piece = own ? request.data_piece : extra_segments_[extra_used_].piece;
    ibv_send_wr& work = own ? request.transfer_work : extra_segments_[extra_used_++].work;
    piece = {reinterpret_cast<uintptr_t>(request.data.address) + offset, segment.length_bytes, request.data.lkey};
    offset += segment.length_bytes;
    work.wr_id = request.completion_id(Completion::Unsignalled);
    work.next = nullptr;
    work.sg_list = &piece;
    work.num_sge = 1;
    work.opcode = opcode;
    work.send_flags = 0;
    work.wr.rdma = {segment.address, segment.key};
    link(*request.queue_pair, work);
    last = &work;
  }
  return last;
}

void PollGroup::link(QueuePair& queue_pair, ibv_send_wr& work) {
  queue_pair.batch.push(work);
  if (queue_pair.dirty) return;
  queue_pair.dirty = true;
  dirty_.push(queue_pair);
}

void PollGroup::give_back_entries(QueuePair& queue_pair, uint32_t count) {
  queue_pair.send_entries_free += count;
  queue_pair.send_entries_taken += count;
  NVMF_INVARIANT(queue_pair.send_entries_free <= queue_pair.send_entries);
}

void PollGroup::repost(ReceiveSlot& slot) {
  if (QueuePair* const holder = std::exchange(slot.queue_pair, nullptr); holder != nullptr)
    count_down(holder->slots_held);
  QueueSet& queues = *slot.queues;
  NVMF_INVARIANT(queues.ledger.posted() < queues.limits.slots);
  queues.ledger.post(slot);
  queues.receives.push(slot.receive);
}

// Failure ------------------------------------------------------------------------------------------------------------

// All waiting requests end now; requests that the RNIC or a disk has end with their completions.
void PollGroup::fail(QueuePair& queue_pair, ibv_wc_status status, const char* reason) {
  if (queue_pair.failed) return;
  queue_pair.failed = true;
  queue_pair.failure_status = status;
  queue_pair.failure_reason = reason;
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_ERR;
  ibv_modify_qp(queue_pair.qp, &attributes, IBV_QP_STATE);

  drop_waiting_posts(queue_pair.waiting_responses);
  drop_waiting(queue_pair);

  control_mailbox_.send(queue_pair.failure, queue_pair,
                        [](QueuePair& failed) { failed.group->owner_->queue_pair_failed(failed, reason_of(failed)); });
}

// No more capsules are taken; what waits ends without an answer, unless it is half of a fused pair.
void PollGroup::drop_waiting(QueuePair& queue_pair) {
  queue_pair.retiring = true;
  core::drop_lone_half(*queue_pair.queue);
  drop_waiting_capsules(queue_pair);
  drop_waiting_posts(queue_pair.waiting_reads);
  if (throttled_ != 0 || waiting_buffers_ != 0)
    queue_pair.visit_commands([this](RdmaRequest& request) {
      if (withdraw_before_its_data(request)) end(request);
    });
  buffers_came_free_ = waiting_buffers_ != 0;  // those behind them may have their turn
  drop_held(queue_pair);
}

template <class List>
void PollGroup::drop_waiting_posts(List& waiting) {
  while (RdmaRequest* const request = waiting.pop()) {
    count_down(waiting_posts_);
    request->slot->answer_waits = false;
    end(*request);
  }
}

// Work requests from `bad` on never reached the RNIC: nothing will complete them.
void PollGroup::on_post_failed(QueuePair& queue_pair, ibv_send_wr* bad) {
  queue_pair.invalidate_failed = bad != nullptr && bad->opcode == IBV_WR_SEND_WITH_INV;
  fail(queue_pair, IBV_WC_LOC_QP_OP_ERR);
  for (; bad; bad = bad->next) {
    RdmaRequest& request = request_of(bad->wr_id);
    switch (completion_of(bad->wr_id)) {
      case Completion::Response:
        end(request);
        break;
      case Completion::ReadDone:
        on_read_done(request, false);
        break;
      case Completion::Unsignalled:
        break;
    }
  }
}

// There are no more slots than the shared receive queue has entries; but the room of entries that a queue pair took
// with it may be lost. Those from `bad` on are the last that the ledger has. They are posted again when the queue is
// made anew, or a queue pair has gone.
void PollGroup::on_receives_refused(QueueSet& queues, ibv_recv_wr* bad) {
  while (bad != nullptr) {
    ibv_recv_wr& refused = *std::exchange(bad, bad->next);
    queues.ledger.take_back(*std::bit_cast<ReceiveSlot*>(refused.wr_id));
    queues.refused_receives.push(refused);
    ++queues.slots_refused;
  }
  queues.tell_missing();
}

// Counters -----------------------------------------------------------------------------------------------------------

void PollGroup::count_moved(RdmaRequest& request, core::RdmaDirection direction) {
  if (request.moving_since_ns == 0) return;
  if (request.ns)
    request.ns->counters.latency.rdma[static_cast<size_t>(direction)].add(now_ns() - request.moving_since_ns);
  request.moving_since_ns = 0;
}

void PollGroup::count_fallback(const RdmaRequest& request, core::Fallback reason) {
  core::PathCounters& counters = request.ns->counters.fallbacks[static_cast<size_t>(reason)];
  counters.commands.add(1);
  counters.bytes.add(request.length_bytes);
}

}  // namespace nvmf::rdma
