#include "transport/rdma/poll_group.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "target/core/command/fused.h"
#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {
namespace {

// Work requests of one turn beyond the first segment of their command; when they run out the turn is flushed early.
constexpr size_t kExtraSegments = size_t{32} * core::limits::kMaxSglDescriptors;

core::Buffer start_of(const Pages& pages, const ibv_mr& region) {
  core::Buffer buffer;
  buffer.address = pages.begin();
  buffer.lkey = region.lkey;
  return buffer;
}

}  // namespace

PollGroup::PollGroup(ibv_context* context, ibv_pd* domain, core::Mailbox& thread, core::Mailbox& control,
                     const PollGroupOptions& options, FixedBuffers fixed_buffers)
    : context_(context),
      domain_(domain),
      thread_mailbox_(thread),
      control_mailbox_(control),
      options_(options),
      fixed_buffers_(std::move(fixed_buffers)),
      channel_(verbs::create_completion_channel(context)),
      set_limits_(QueueSetLimits::of(context)),
      dram_pages_(options.dram_pool_bytes),
      tables_(thread, control, options.max_transfer_bytes) {
  madvise(dram_pages_.begin(), dram_pages_.size(), MADV_HUGEPAGE);
  dram_region_ =
      verbs::register_memory(domain, dram_pages_.begin(), dram_pages_.size(), verbs::read_sink_access(context));
  const uint32_t data_and_scratch_bytes = 2 * options.max_transfer_bytes;  // scratch.h
  dram_ = std::make_unique<core::BufferPool>(start_of(dram_pages_, *dram_region_), dram_pages_.size(),
                                             data_and_scratch_bytes);
  tables_.add(*dram_);

  extra_segments_.resize(kExtraSegments);
  polled_.reserve(options.max_queue_sets);  // the thread allocates nothing for a set that it takes over
  add_queue_set().add_slab(std::min(options.initial_slots, set_limits_.slots));
}

PollGroup::~PollGroup() = default;

QueueSet& PollGroup::add_queue_set() {
  sets_.push_back(std::make_unique<QueueSet>(*this, domain_, channel_.get(), set_limits_, options_.in_capsule_bytes));
  return *sets_.back();
}

bool PollGroup::owns(const ibv_cq* queue) const {
  return std::ranges::any_of(sets_, [queue](const auto& queues) {
    return queues->receive_cq.get() == queue || queues->send_cq.get() == queue;
  });
}

bool PollGroup::owns(const ibv_srq* queue) const {
  return std::ranges::any_of(sets_, [queue](const auto& queues) { return queues->shared_receives.get() == queue; });
}

uint32_t PollGroup::capacity(uint32_t depth, uint32_t send_entries) const {
  const uint64_t of_sets = uint64_t{options_.max_queue_sets} * set_limits_.capacity(depth, send_entries);
  return static_cast<uint32_t>(std::min<uint64_t>(options_.max_queue_pairs, of_sets));
}

QueueSet* PollGroup::find_room(uint32_t depth, uint32_t send_entries) const {
  const auto found =
      std::ranges::find_if(sets_, [&](const auto& queues) { return queues->has_room(depth, send_entries); });
  return found == sets_.end() ? nullptr : found->get();
}

bool PollGroup::may_have_lost_most_slots() const {
  return std::ranges::any_of(sets_, [](const auto& queues) {
    return 2 * (queues->slots_missing.get() + queues->slots_in_doubt.get()) > queues->slots;
  });
}

bool PollGroup::has_room(uint32_t depth, uint32_t send_entries) const {
  if (takes_no_queue_pairs() || queue_pairs_ >= options_.max_queue_pairs) return false;
  if (find_room(depth, send_entries) != nullptr) return true;
  return sets_.size() < options_.max_queue_sets && set_limits_.capacity(depth, send_entries) != 0;
}

QueueSet* PollGroup::reserve(uint32_t depth, uint32_t send_entries) {
  if (!has_room(depth, send_entries)) return nullptr;
  QueueSet* queues = find_room(depth, send_entries);
  if (queues == nullptr) {
    queues = &add_queue_set();
    send(*queues);
  }
  if (ReceiveSlab* const added = queues->reserve(depth, send_entries)) send(*added);
  ++queue_pairs_;
  return queues;
}

void PollGroup::unreserve(QueueSet& queues, uint32_t depth, uint32_t send_entries) {
  NVMF_INVARIANT(queue_pairs_ != 0);
  queues.unreserve(depth, send_entries);
  --queue_pairs_;
}

void PollGroup::send(QueueSet& queues) {
  thread_mailbox_.send(queues.adopt, queues, [](QueueSet& adopted) { adopted.group.install(adopted); });
}

void PollGroup::send(ReceiveSlab& slab) {
  thread_mailbox_.send(slab.adopt, slab, [](ReceiveSlab& adopted) { adopted.queues->group.install(adopted); });
}

void PollGroup::install(QueueSet& queues) { polled_.push_back(&queues); }

void PollGroup::install(ReceiveSlab& slab) {
  QueueSet& queues = *slab.queues;
  queues.installed.push_back(&slab);
  for (RdmaRequest& request : slab.requests()) queues.spare_requests.push(request);
  for (ReceiveSlot& slot : slab.slots()) {
    slot.queues = &queues;
    slot.fixed_index = slab.fixed_index;
    repost(slot);
  }
  flush();
}

void PollGroup::adopt(QueuePair& queue_pair) {
  queue_pair.group = this;
  queue_pair.send_entries_free = queue_pair.send_entries;
  queue_pair.reads_free = queue_pair.read_depth;
  queue_pair.max_requests = requests_of(queue_pair.queue->depth);
  queue_pair.newest_slot = queue_pair.queues->ledger.newest();
  thread_mailbox_.send(queue_pair.adopt, queue_pair, [](QueuePair& adopted) { adopted.group->install(adopted); });
}

void PollGroup::retire(QueuePair& queue_pair) {
  queue_pair.leaving = true;
  ++queue_pair.to_come_back;
  thread_mailbox_.send(queue_pair.retire, queue_pair, [](QueuePair& retired) { retired.group->begin_retire(retired); });
}

void PollGroup::abandon(QueuePair& queue_pair) {
  ++queue_pair.to_come_back;
  thread_mailbox_.send(queue_pair.abandon, queue_pair,
                       [](QueuePair& abandoned) { abandoned.group->begin_abandon(abandoned); });
}

void PollGroup::end_unflushed(QueuePair& queue_pair) {
  ++queue_pair.to_come_back;
  thread_mailbox_.send(queue_pair.flush, queue_pair,
                       [](QueuePair& unflushed) { unflushed.group->begin_end_unflushed(unflushed); });
}

void PollGroup::dismiss(QueuePair& queue_pair) {
  thread_mailbox_.send(queue_pair.dismiss, queue_pair,
                       [](QueuePair& dismissed) { dismissed.group->begin_dismiss(dismissed); });
}

void PollGroup::find_lost_slots(const QueuePair& destroyed) {
  std::erase(destroyed.queues->ending, &destroyed);
  find_lost_slots(*destroyed.queues);
}

// One search at a time; another one follows where it began without knowing all.
void PollGroup::find_lost_slots(QueueSet& queues) {
  if (takes_no_queue_pairs()) return;
  if (queues.search.is_under_way) {
    queues.search.again = true;
    return;
  }
  queues.search = {.is_under_way = true, .dismissals = queues.dismissals};
  for (const QueuePair* ending : queues.ending)
    queues.search.oldest_report = std::min(queues.search.oldest_report, ending->newest_slot);
  thread_mailbox_.send(queues.lost_slots, queues, [](QueueSet& asked) { asked.group.post_lost_slots(asked); });
}

// Until it is destroyed it may hold slots: no older ones than its newest report.
void PollGroup::on_dismissed(QueuePair& queue_pair) {
  QueueSet& queues = *queue_pair.queues;
  ++queues.dismissals;
  queues.ending.push_back(&queue_pair);
  queues.search.again = true;
  owner_->queue_pair_dismissed(queue_pair);
}

void PollGroup::find_stalled_hosts() {
  if (takes_no_queue_pairs() || in_flight_.get() == 0 || std::exchange(finding_stalled_hosts_, true)) return;
  thread_mailbox_.send(stalled_hosts_, *this, [](PollGroup& group) {
    group.looked_at_ = {};
    group.fail_stalled_hosts();
  });
}

// The group's thread from here on.

// The control thread waits meanwhile.
void PollGroup::open() {
  dram_fixed_index_ = add_fixed({dram_pages_.begin(), dram_pages_.size()});
  dram_->set_fixed_index(dram_fixed_index_);
  for (const auto& queues : sets_) {
    install(*queues);
    for (const auto& slab : queues->slabs) {
      slab->fixed_index = add_fixed(slab->in_capsule_data());
      install(*slab);
    }
  }
}

void PollGroup::close() {
  if (!fixed_buffers_.remove) return;
  fixed_buffers_.remove(dram_fixed_index_);
  for (const QueueSet* queues : polled_)
    for (const ReceiveSlab* slab : queues->installed) fixed_buffers_.remove(slab->fixed_index);
}

int PollGroup::add_fixed(std::span<std::byte> memory) {
  return fixed_buffers_.add && !memory.empty() ? fixed_buffers_.add(memory.data(), memory.size()) : -1;
}

void PollGroup::install(QueuePair& queue_pair) {
  queue_pair.queues->lend_requests(queue_pair);
  queue_pair.queues->by_number.insert(queue_pair);
}

void PollGroup::begin_retire(QueuePair& queue_pair) {
  drop_waiting(queue_pair);
  ++retiring_;
  queue_pair.awaits_end = true;
  if (queue_pair.outstanding == 0) drained_.push(queue_pair);
}

// The queue pair may have been reported while the message was on its way.
void PollGroup::begin_abandon(QueuePair& queue_pair) {
  if (queue_pair.queues->by_number.contains(queue_pair)) fail(queue_pair, IBV_WC_WR_FLUSH_ERR);
  control_mailbox_.send(queue_pair.abandon, queue_pair, [](QueuePair& abandoned) {
    abandoned.group->owner_->queue_pair_abandoned(abandoned);
    came_back(abandoned);
  });
}

// At the end of a turn. The queue pairs stay in the table: capsules of them may still be found.
void PollGroup::report_drained() {
  while (QueuePair* const queue_pair = drained_.pop()) {
    NVMF_INVARIANT(queue_pair->outstanding == 0);
    queue_pair->awaits_end = false;
    count_down(retiring_);
    send_back(*queue_pair, queue_pair->retire);
  }
}

void PollGroup::begin_dismiss(QueuePair& queue_pair) {
  queue_pair.dismissed_at = queue_pair.queues->polls;
  dismissing_.push(queue_pair);
}

// At the end of a turn: a queue pair that has been reported belongs to the control thread, which may destroy it at
// once. Nothing of it comes any more two dry polls on, for the first may have been under way when it was dismissed. A
// set that is busy all the time has no dry polls. But its completion queue had one completion of each slot at most:
// those have been found when as many have been, after those of the poll that was under way.
void PollGroup::report_dismissed() {
  const auto is_over = [](const QueuePair& queue_pair) {
    const QueueSet& queues = *queue_pair.queues;
    const ReceivePolls& then = queue_pair.dismissed_at;
    return queues.polls.dry - then.dry >= 2 ||
           queues.polls.completions - then.completions >= queues.limits.slots + kCompletionsAtOnce;
  };
  dismissing_.take_if(is_over, [this](QueuePair& queue_pair) {
    queue_pair.queues->by_number.remove(queue_pair);
    queue_pair.queues->take_back_requests(queue_pair);
    queue_pair.queues->ledger.queue_pair_gone();
    check_nothing_is_left();
    ++queue_pair.queues->dismissed;
    control_mailbox_.send(queue_pair.dismiss, queue_pair,
                          [](QueuePair& dismissed) { dismissed.group->on_dismissed(dismissed); });
  });
}

// Of queue pairs that are gone: what waits and what is counted belongs to one that is there.
void PollGroup::check_nothing_is_left() const {
  if (!std::ranges::all_of(polled_, [](const QueueSet* queues) { return queues->by_number.empty(); })) return;
  NVMF_INVARIANT(waiting_buffers_ == 0);
  NVMF_INVARIANT(waiting_posts_ == 0);
  NVMF_INVARIANT(waiting_capsules_.empty());
  NVMF_INVARIANT(throttled_ == 0);
  NVMF_INVARIANT(reads_in_flight_ == 0);
  NVMF_INVARIANT(reads_in_place_ == 0);
  NVMF_INVARIANT(retiring_ == 0 && aborts_waiting_ == 0);
}

// Those that no queue pair can hold: none of the table, and none that has left it and is still to be destroyed (the
// kernel may take a minute for that). Not while one has left the table of which the control thread did not know: it
// asks again then.
void PollGroup::post_lost_slots(QueueSet& queues) {
  uint64_t oldest_report = std::min(queues.ledger.newest(), queues.search.oldest_report);
  repost_refused(queues);
  thread_mailbox_.receive_all();  // whoever can hold a slot by now is in the table then
  if (queues.ledger.overdue() != 0 && queues.dismissed == queues.search.dismissals) {
    queues.by_number.visit(
        [&](const QueuePair& queue_pair) { oldest_report = std::min(oldest_report, queue_pair.newest_slot); });
    for (const ReceiveSlab* slab : queues.installed)
      for (ReceiveSlot& slot : slab->slots()) {
        if (!queues.ledger.is_lost(slot, oldest_report)) continue;
        queues.ledger.report(slot);
        repost(slot);
      }
  }
  queues.tell_missing();
  const auto found = [](QueueSet& asked) {
    asked.search.is_under_way = false;
    if (asked.search.again) asked.group.find_lost_slots(asked);
  };
  if (&thread_mailbox_ == &control_mailbox_) return found(queues);
  control_mailbox_.send(queues.lost_slots, queues, found);
}

// They may find room again, or be refused again.
void PollGroup::repost_refused(QueueSet& queues) {
  for (ibv_recv_wr* refused = queues.refused_receives.take_all(); refused != nullptr;)
    repost(*std::bit_cast<ReceiveSlot*>(std::exchange(refused, refused->next)->wr_id));
  queues.slots_refused = 0;
}

// A few each turn. One that has failed is left as it is: the control thread may read the reason. One that is looked at
// twice, or not at all, as others have left the table meanwhile, is found the next time. A group that leaves fails all
// of them.
void PollGroup::fail_stalled_hosts() {
  using namespace core::limits;
  using Verdict = AnswerProgress::Verdict;
  const auto look_at = [this](QueuePair& queue_pair) {
    if (queue_pair.failed) return;
    const uint32_t posted = queue_pair.send_entries - queue_pair.send_entries_free;
    const bool dry = others_wait_for(queue_pair);
    const uint32_t stalled_looks = (dry ? kStalledAnswersWhenDryMs : kStalledAnswersMs) / kStallCheckMs;
    const uint32_t slow_looks = (dry ? kSlowAnswersWhenDryMs : kSlowAnswersMs) / kStallCheckMs;
    const Verdict verdict = queue_pair.progress.look(queue_pair.send_entries_taken, posted, stalled_looks, slow_looks);
    if (verdict == Verdict::Good) return;
    if (verdict == Verdict::Stalled)
      queue_pair.stall = dry ? Stall::StalledWhenDry : Stall::Stalled;
    else
      queue_pair.stall = dry ? Stall::SlowWhenDry : Stall::Slow;
    fail(queue_pair, IBV_WC_RESP_TIMEOUT_ERR,
         "the host does not receive its completions: the host or the network is stuck or too slow");
  };
  const bool is_leaving = leaving_.step != LeavingStep::None || completions_at_once_ == 0;
  if (!is_leaving && visit_some(looked_at_, kQueuePairsPerLook, look_at))
    return thread_mailbox_.send(stalled_hosts_, *this, [](PollGroup& group) { group.fail_stalled_hosts(); });
  tell_control(stalled_hosts_, [](PollGroup& group) { group.finding_stalled_hosts_ = false; });
}

// For buffers that its host holds, or to change blocks that its answers are sent out of.
bool PollGroup::others_wait_for(const QueuePair& queue_pair) const {
  const bool holds_buffers = std::ranges::any_of(tables_.pools(), [&](const core::BufferPool* pool) {
    return pool->is_dry() && pool->held_bytes(queue_pair.queue->share) != 0;
  });
  if (holds_buffers) return true;
  bool holds_blocks = false;
  queue_pair.visit_commands([&](const RdmaRequest& request) {
    holds_blocks |= request.data.kind == core::MemoryKind::Namespace && request.executed_ns != 0 &&
                    request.ns->channel->keeps_changes_waiting(request);
  });
  return holds_blocks;
}

void PollGroup::send_back(QueuePair& queue_pair, core::Message& message) {
  control_mailbox_.send(message, queue_pair, [](QueuePair& returned) { came_back(returned); });
}

// Control thread.
std::string PollGroup::reason_of(const QueuePair& failed) {
  if (failed.failure_reason != nullptr) return failed.failure_reason;
  return std::string("the connection failed: ") + ibv_wc_status_str(failed.failure_status);
}

// Control thread.
void PollGroup::came_back(QueuePair& queue_pair) {
  NVMF_INVARIANT(queue_pair.to_come_back != 0);
  if (--queue_pair.to_come_back == 0 && queue_pair.leaving) queue_pair.group->owner_->queue_pair_drained(queue_pair);
}

}  // namespace nvmf::rdma
