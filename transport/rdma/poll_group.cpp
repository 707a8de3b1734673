#include "transport/rdma/poll_group.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "target/core/command/fused.h"
#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {
namespace {

// Work requests of one turn beyond the first segment of their command; when they run out the turn is flushed early.
constexpr size_t kExtraSegments = size_t{32} * core::limits::kMaxSglDescriptors;
// The target does not use all of a device's resources, so that other programs can use the device, too.
constexpr uint32_t kMaxSlots = 16384;
constexpr uint32_t kMaxSendCompletions = 32768;
constexpr uint32_t kMinSlabSlots = 64;

core::Buffer start_of(const Pages& pages, const ibv_mr& region) {
  core::Buffer buffer;
  buffer.address = pages.begin();
  buffer.lkey = region.lkey;
  return buffer;
}

// Its pending sends and reads are dropped, and do not complete any more.
void reset(ibv_qp* queue_pair) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RESET;
  ibv_modify_qp(queue_pair, &attributes, IBV_QP_STATE);  // fails when the kernel has ended the queue pair already
}

uint32_t at_most(uint32_t ours, int device) { return std::min(ours, static_cast<uint32_t>(std::max(device, 1))); }

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
      max_slots_(at_most(kMaxSlots, verbs::query_device(context).max_srq_wr)),
      max_send_completions_(at_most(kMaxSendCompletions, verbs::query_device(context).max_cqe)),
      dram_pages_(options.dram_pool_bytes),
      tables_(thread, control, options.max_transfer_bytes),
      by_number_(options.max_queue_pairs) {
  const ibv_device_attr device = verbs::query_device(context);
  max_slots_ = std::min(max_slots_, at_most(kMaxSlots, device.max_cqe));
  create_queues();

  madvise(dram_pages_.begin(), dram_pages_.size(), MADV_HUGEPAGE);
  dram_region_ =
      verbs::register_memory(domain, dram_pages_.begin(), dram_pages_.size(), verbs::read_sink_access(context));
  const uint32_t data_and_scratch_bytes = 2 * options.max_transfer_bytes;  // scratch.h
  dram_ = std::make_unique<core::BufferPool>(start_of(dram_pages_, *dram_region_), dram_pages_.size(),
                                             data_and_scratch_bytes);
  tables_.add(*dram_);

  extra_segments_.resize(kExtraSegments);
  add_slab(std::min(options.initial_slots, max_slots_));
}

PollGroup::~PollGroup() { acknowledge_events(); }

void PollGroup::create_queues() {
  receive_cq_ = verbs::create_completion_queue(context_, static_cast<int>(max_slots_), channel_.get());
  send_cq_ = verbs::create_completion_queue(context_, static_cast<int>(max_send_completions_), channel_.get());
  shared_receives_ = verbs::create_shared_receive_queue(domain_, max_slots_, 2);
}

// The completion queues wait for that when they are destroyed.
void PollGroup::acknowledge_events() {
  if (receive_events_ != 0) ibv_ack_cq_events(receive_cq_.get(), std::exchange(receive_events_, 0));
  if (send_events_ != 0) ibv_ack_cq_events(send_cq_.get(), std::exchange(send_events_, 0));
}

uint32_t PollGroup::capacity(uint32_t depth, uint32_t send_entries) const {
  return std::min({options_.max_queue_pairs, max_slots_ / depth, max_send_completions_ / send_entries});
}

uint32_t PollGroup::slots_needed_with(uint32_t depth) const {
  return slots_reserved_ + depth + static_cast<uint32_t>(slots_missing_.get());
}

bool PollGroup::has_room(uint32_t depth, uint32_t send_entries) const {
  return !left_ && queue_pairs_ < options_.max_queue_pairs && slots_needed_with(depth) <= max_slots_ &&
         send_completions_reserved_ + send_entries <= max_send_completions_;
}

bool PollGroup::reserve(uint32_t depth, uint32_t send_entries) {
  if (!has_room(depth, send_entries)) return false;
  if (const uint32_t needed = slots_needed_with(depth); needed > slots_) {
    const uint32_t wanted = std::max(needed - slots_, kMinSlabSlots);
    send(add_slab(std::min(wanted + wanted % 2, max_slots_ - slots_)));
  }
  slots_reserved_ += depth;
  send_completions_reserved_ += send_entries;
  ++queue_pairs_;
  return true;
}

void PollGroup::unreserve(uint32_t depth, uint32_t send_entries) {
  NVMF_INVARIANT(queue_pairs_ != 0 && slots_reserved_ >= depth && send_completions_reserved_ >= send_entries);
  slots_reserved_ -= depth;
  send_completions_reserved_ -= send_entries;
  --queue_pairs_;
}

ReceiveSlab& PollGroup::add_slab(uint32_t slots) {
  slabs_.push_back(std::make_unique<ReceiveSlab>(domain_, slots, options_.in_capsule_bytes));
  slots_ += slots;
  NVMF_INVARIANT(slots_ <= max_slots_);
  return *slabs_.back();
}

void PollGroup::send(ReceiveSlab& slab) {
  slab.group = this;
  thread_mailbox_.send(slab.adopt, slab, [](ReceiveSlab& adopted) { adopted.group->install(adopted); });
}

void PollGroup::install(ReceiveSlab& slab) {
  installed_slabs_.push_back(&slab);
  for (RdmaRequest& request : slab.requests()) free_requests_.push(request);
  for (ReceiveSlot& slot : slab.slots()) {
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
  queue_pair.newest_slot = ledger_.newest();
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

void PollGroup::dismiss(QueuePair& queue_pair) {
  thread_mailbox_.send(queue_pair.dismiss, queue_pair,
                       [](QueuePair& dismissed) { dismissed.group->begin_dismiss(dismissed); });
}

void PollGroup::find_lost_slots() {
  destroyed_.fetch_add(1, std::memory_order_release);
  if (left_ || std::exchange(finding_lost_slots_, true)) return;
  thread_mailbox_.send(lost_slots_, *this, [](PollGroup& group) { group.post_lost_slots(); });
}

void PollGroup::find_stalled_hosts() {
  if (left_ || in_flight_.get() == 0 || std::exchange(finding_stalled_hosts_, true)) return;
  thread_mailbox_.send(stalled_hosts_, *this, [](PollGroup& group) { group.fail_stalled_hosts(); });
}

void PollGroup::rebuild() {
  if (std::exchange(rebuilding_, true)) return;
  thread_mailbox_.send(rebuild_, *this, [](PollGroup& group) {
    group.rebuild_failure_ = group.make_queues_anew();
    group.tell_control(group.rebuild_, [](PollGroup& rebuilt) {
      rebuilt.left_ = !rebuilt.rebuild_failure_.empty();
      rebuilt.rebuilding_ = false;
      rebuilt.owner_->group_rebuilt(rebuilt, rebuilt.rebuild_failure_);
    });
  });
}

void PollGroup::leave() {
  if (std::exchange(left_, true)) return;
  thread_mailbox_.send(leave_, *this, [](PollGroup& group) { group.begin_leave(); });
}

// The group's thread from here on.

// The control thread waits meanwhile.
void PollGroup::open() {
  dram_fixed_index_ = add_fixed({dram_pages_.begin(), dram_pages_.size()});
  dram_->set_fixed_index(dram_fixed_index_);
  for (const auto& slab : slabs_) {
    slab->fixed_index = add_fixed(slab->in_capsule_data());
    install(*slab);
  }
}

void PollGroup::close() {
  if (!fixed_buffers_.remove) return;
  fixed_buffers_.remove(dram_fixed_index_);
  for (const ReceiveSlab* slab : installed_slabs_) fixed_buffers_.remove(slab->fixed_index);
}

int PollGroup::add_fixed(std::span<std::byte> memory) {
  return fixed_buffers_.add && !memory.empty() ? fixed_buffers_.add(memory.data(), memory.size()) : -1;
}

void PollGroup::install(QueuePair& queue_pair) { by_number_.insert(queue_pair); }

void PollGroup::begin_retire(QueuePair& queue_pair) {
  drop_waiting(queue_pair);
  retiring_.push(queue_pair);
}

// The queue pair may have been reported while the message was on its way.
void PollGroup::begin_abandon(QueuePair& queue_pair) {
  if (by_number_.contains(queue_pair)) fail(queue_pair, IBV_WC_WR_FLUSH_ERR);
  send_back(queue_pair, queue_pair.abandon);
}

void PollGroup::begin_leave() {
  by_number_.visit([this](QueuePair& queue_pair) {
    fail(queue_pair, IBV_WC_FATAL_ERR);
    reset(queue_pair.qp);
  });
  flush();  // what this turn has linked ends here, once: it must not be posted after its requests have ended
  while (poll() != 0) {
  }
  completions_at_once_ = 0;
  end_what_rnic_has();
  tell_control(leave_, [](PollGroup& group) { group.owner_->group_left(group); });
}

// A request that is neither free nor in a list nor with a disk: all lists have been emptied.
void PollGroup::end_what_rnic_has() {
  for (const ReceiveSlab* slab : installed_slabs_) {
    for (RdmaRequest& request : slab->requests()) {
      if (request.queue_pair == nullptr) continue;
      if (request.slot == nullptr)
        end(request);
      else if (request.is_reading())
        on_read_done(request, false);
    }
  }
}

// At the end of a turn. The queue pair stays in the table: capsules of it may still be found.
void PollGroup::report_drained() {
  retiring_.take_if([](const QueuePair& queue_pair) { return queue_pair.outstanding == 0; },
                    [this](QueuePair& queue_pair) { send_back(queue_pair, queue_pair.retire); });
}

// Two dry polls on, for the first may have been under way by then: nothing of it comes any more.
void PollGroup::begin_dismiss(QueuePair& queue_pair) {
  queue_pair.dismissed_at = dry_polls_;
  dismissing_.push(queue_pair);
}

// At the end of a turn: a queue pair that has been reported belongs to the control thread, which may destroy it at
// once.
void PollGroup::report_dismissed() {
  const auto is_over = [this](const QueuePair& queue_pair) { return dry_polls_ - queue_pair.dismissed_at >= 2; };
  dismissing_.take_if(is_over, [this](QueuePair& queue_pair) {
    by_number_.remove(queue_pair);
    ++dismissed_;
    control_mailbox_.send(queue_pair.dismiss, queue_pair,
                          [](QueuePair& dismissed) { dismissed.group->owner_->queue_pair_dismissed(dismissed); });
  });
}

// Not while a queue pair that has left the table has yet to be destroyed.
void PollGroup::post_lost_slots() {
  uint64_t oldest_report = ledger_.newest();
  thread_mailbox_.receive();  // whoever can hold a slot by now is in the table then
  if (ledger_.overdue() != 0 && dismissed_ == destroyed_.load(std::memory_order_acquire)) {
    by_number_.visit(
        [&](const QueuePair& queue_pair) { oldest_report = std::min(oldest_report, queue_pair.newest_slot); });
    for (const ReceiveSlab* slab : installed_slabs_)
      for (ReceiveSlot& slot : slab->slots()) {
        if (!ledger_.is_lost(slot, oldest_report)) continue;
        ledger_.report(slot);
        repost(slot);
      }
  }
  slots_missing_.add(ledger_.overdue() - slots_missing_.get());
  tell_control(lost_slots_, [](PollGroup& group) { group.finding_lost_slots_ = false; });
}

void PollGroup::fail_stalled_hosts() {
  constexpr uint32_t kStalledLooks = core::limits::kStalledAnswersMs / core::limits::kStallCheckMs;
  constexpr uint32_t kSlowLooks = core::limits::kSlowAnswersMs / core::limits::kStallCheckMs;
  by_number_.visit([this](QueuePair& queue_pair) {
    const uint32_t posted = queue_pair.send_entries - queue_pair.send_entries_free;
    if (queue_pair.progress.has_stalled(queue_pair.send_entries_taken, posted, kStalledLooks, kSlowLooks))
      fail(queue_pair, IBV_WC_RESP_TIMEOUT_ERR,
           "the host does not receive its completions: the host or the network is stuck or too slow");
  });
  tell_control(stalled_hosts_, [](PollGroup& group) { group.finding_stalled_hosts_ = false; });
}

// Empty, or what failed. The reactor has nothing of this group to do meanwhile.
std::string PollGroup::make_queues_anew() {
  acknowledge_events();
  shared_receives_.reset();
  receive_cq_.reset();
  send_cq_.reset();
  receive_armed_ = send_armed_ = false;
  try {
    create_queues();
  } catch (const verbs::VerbsError& error) {
    return error.what();
  }
  receives_.take_all();
  completions_at_once_ = kCompletionsAtOnce;
  for (const ReceiveSlab* slab : installed_slabs_)
    for (ReceiveSlot& slot : slab->slots()) {
      if (slot.sequence != 0) ledger_.report(slot);
      repost(slot);
    }
  flush();
  return {};
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
