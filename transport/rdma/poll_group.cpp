#include "transport/rdma/poll_group.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <unordered_set>
#include <utility>

#include "target/core/command/fused.h"
#include "target/core/datapath/limits.h"

namespace nvmf::rdma {
namespace {

// Work requests of one turn beyond the first segment of their command; when they run out the turn is flushed early.
constexpr size_t kExtraSegments = size_t{32} * core::limits::kMaxSglDescriptors;
// Beyond these a device's own limits are not used up: nobody else could work with it.
constexpr uint32_t kMaxSlots = 16384;
constexpr uint32_t kMaxSendCompletions = 32768;
constexpr uint32_t kMinSlabSlots = 64;

core::Buffer whole(const Pages& pages, const ibv_mr& region) {
  core::Buffer buffer;
  buffer.address = pages.begin();
  buffer.length_bytes = static_cast<uint32_t>(pages.size());
  buffer.lkey = region.lkey;
  return buffer;
}

// What it was to send and to read is dropped, and completes no more.
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
      dram_pages_(options.dram_pool_bytes) {
  const ibv_device_attr device = verbs::query_device(context);
  max_slots_ = std::min(max_slots_, at_most(kMaxSlots, device.max_cqe));
  receive_cq_ = verbs::create_completion_queue(context, static_cast<int>(max_slots_), channel_.get());
  send_cq_ = verbs::create_completion_queue(context, static_cast<int>(max_send_completions_), channel_.get());
  shared_receives_ = verbs::create_shared_receive_queue(domain, max_slots_, 2);

  madvise(dram_pages_.begin(), dram_pages_.size(), MADV_HUGEPAGE);
  dram_region_ = verbs::register_memory(domain, dram_pages_.begin(), dram_pages_.size(), IBV_ACCESS_LOCAL_WRITE);
  const uint32_t data_and_scratch_bytes = 2 * options.max_transfer_bytes;  // scratch.h
  dram_ = std::make_unique<core::BufferPool>(whole(dram_pages_, *dram_region_), data_and_scratch_bytes);
  pools_.push_back(dram_.get());

  extra_segments_.resize(kExtraSegments);
  by_number_.resize(std::bit_ceil(size_t{2} * options.max_queue_pairs));
  add_slab(std::min(options.initial_slots, max_slots_));
}

PollGroup::~PollGroup() {
  if (receive_events_) ibv_ack_cq_events(receive_cq_.get(), receive_events_);
  if (send_events_) ibv_ack_cq_events(send_cq_.get(), send_events_);
}

bool PollGroup::reserve(uint32_t depth, uint32_t send_entries) {
  if (queue_pairs_ == options_.max_queue_pairs || slots_reserved_ + depth > max_slots_ ||
      send_completions_reserved_ + send_entries > max_send_completions_)
    return false;
  if (slots_reserved_ + depth > slots_)
    send(add_slab(std::clamp(depth, kMinSlabSlots, std::max(kMinSlabSlots, max_slots_ - slots_))));
  slots_reserved_ += depth;
  send_completions_reserved_ += send_entries;
  ++queue_pairs_;
  return true;
}

void PollGroup::unreserve(uint32_t depth, uint32_t send_entries) {
  slots_reserved_ -= depth;
  send_completions_reserved_ -= send_entries;
  --queue_pairs_;
}

ReceiveSlab& PollGroup::add_slab(uint32_t slots) {
  slabs_.push_back(std::make_unique<ReceiveSlab>(domain_, slots, options_.in_capsule_bytes));
  slots_ += slots;
  return *slabs_.back();
}

void PollGroup::send(ReceiveSlab& slab) {
  slab.group = this;
  slab.adopt.context = &slab;
  slab.adopt.deliver = [](core::Message& message) {
    auto& adopted = *static_cast<ReceiveSlab*>(message.context);
    adopted.group->install(adopted);
  };
  thread_mailbox_.send(slab.adopt);
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
  queue_pair.adopt.context = &queue_pair;
  queue_pair.adopt.deliver = [](core::Message& message) {
    auto& adopted = *static_cast<QueuePair*>(message.context);
    adopted.group->install(adopted);
  };
  thread_mailbox_.send(queue_pair.adopt);
}

void PollGroup::retire(QueuePair& queue_pair) {
  queue_pair.leaving = true;
  ++queue_pair.to_come_back;
  queue_pair.retire.context = &queue_pair;
  queue_pair.retire.deliver = [](core::Message& message) {
    auto& retired = *static_cast<QueuePair*>(message.context);
    retired.group->begin_retire(retired);
  };
  thread_mailbox_.send(queue_pair.retire);
}

void PollGroup::abandon(QueuePair& queue_pair) {
  ++queue_pair.to_come_back;
  queue_pair.abandon.context = &queue_pair;
  queue_pair.abandon.deliver = [](core::Message& message) {
    auto& abandoned = *static_cast<QueuePair*>(message.context);
    abandoned.group->begin_abandon(abandoned);
  };
  thread_mailbox_.send(queue_pair.abandon);
}

void PollGroup::leave() {
  leave_.context = this;
  leave_.deliver = [](core::Message& message) { static_cast<PollGroup*>(message.context)->begin_leave(); };
  thread_mailbox_.send(leave_);
}

void PollGroup::open_table(const core::Subsystem& subsystem) {
  auto table = std::make_unique<core::IoNamespaceTable>();
  table->by_nsid.resize(core::limits::kMaxNamespaces);
  table->max_transfer_bytes = options_.max_transfer_bytes;
  namespaces_[&subsystem] = std::move(table);
}

std::unique_ptr<core::IoNamespaceTable> PollGroup::close_table(const core::Subsystem& subsystem) {
  return std::move(namespaces_.extract(&subsystem).mapped());
}

const core::IoNamespaceTable* PollGroup::namespaces(const core::Subsystem& subsystem) const {
  const auto found = namespaces_.find(&subsystem);
  return found == namespaces_.end() ? nullptr : found->second.get();
}

void PollGroup::change_namespace(NamespaceChange& change) {
  change.group = this;
  change.table = namespaces_.at(change.subsystem).get();
  change.message.context = &change;
  change.message.deliver = [](core::Message& message) {
    auto& begun = *static_cast<NamespaceChange*>(message.context);
    begun.group->begin_change(begun);
  };
  thread_mailbox_.send(change.message);
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

QueuePair** PollGroup::place_of(uint32_t qp_num) {
  const size_t mask = by_number_.size() - 1;
  size_t place = (qp_num * size_t{0x9e3779b1}) & mask;
  while (by_number_[place] && by_number_[place]->qp->qp_num != qp_num) place = (place + 1) & mask;
  return &by_number_[place];
}

void PollGroup::install(QueuePair& queue_pair) { *place_of(queue_pair.qp->qp_num) = &queue_pair; }

void PollGroup::begin_retire(QueuePair& queue_pair) {
  drop_waiting(queue_pair);
  queue_pair.next_retiring = retiring_;
  retiring_ = &queue_pair;
}

// It may have been reported while the message was under way.
void PollGroup::begin_abandon(QueuePair& queue_pair) {
  if (*place_of(queue_pair.qp->qp_num) == &queue_pair) fail(queue_pair, IBV_WC_WR_FLUSH_ERR);
  send_back(queue_pair.abandon);
}

void PollGroup::begin_leave() {
  for (QueuePair* queue_pair : by_number_) {
    if (!queue_pair) continue;
    fail(*queue_pair, IBV_WC_FATAL_ERR);
    reset(queue_pair->qp);
  }
  while (poll() != 0) {
  }
  completions_at_once_ = 0;
  end_what_rnic_has();
  start_waiting_capsules();
}

// A request that is neither free nor in a list nor with a disk: all lists have been emptied.
void PollGroup::end_what_rnic_has() {
  std::unordered_set<const RdmaRequest*> free;
  for (const RdmaRequest* request = free_requests_.front(); request; request = request->next) free.insert(request);
  for (const ReceiveSlab* slab : installed_slabs_) {
    for (RdmaRequest& request : slab->requests()) {
      if (free.contains(&request)) continue;
      if (!request.slot)
        end(request);
      else if (request.is_reading())
        on_read_done(request, false);
    }
  }
}

// At the end of a turn: a queue pair that has been reported belongs to the control thread, which may destroy it at
// once.
void PollGroup::report_drained() {
  for (QueuePair** place = &retiring_; *place;) {
    QueuePair& queue_pair = **place;
    if (queue_pair.outstanding != 0) {
      place = &queue_pair.next_retiring;
      continue;
    }
    *place = queue_pair.next_retiring;
    remove(queue_pair);
    send_back(queue_pair.retire);
  }
}

void PollGroup::send_back(core::Message& message) {
  message.deliver = [](core::Message& returned) { came_back(*static_cast<QueuePair*>(returned.context)); };
  control_mailbox_.send(message);
}

// Control thread.
void PollGroup::came_back(QueuePair& queue_pair) {
  if (--queue_pair.to_come_back == 0 && queue_pair.leaving) queue_pair.group->owner_->queue_pair_drained(queue_pair);
}

void PollGroup::begin_change(NamespaceChange& change) {
  change.previous = std::exchange(change.table->by_nsid[change.nsid - 1], change.next);
  core::BufferPool* pool = change.next ? change.next->cmb : nullptr;
  if (pool && std::find(pools_.begin(), pools_.end(), pool) == pools_.end()) pools_.push_back(pool);
  core::Throttle* throttle = change.next ? change.next->throttle : nullptr;
  if (throttle && std::find(throttles_.begin(), throttles_.end(), throttle) == throttles_.end())
    throttles_.push_back(throttle);
  change.next_waiting = std::exchange(changing_, &change);
}

// At the end of each turn while there are any.
void PollGroup::report_changed() {
  for (NamespaceChange** place = &changing_; *place;) {
    NamespaceChange& change = **place;
    if (is_in_use(change.previous)) {
      place = &change.next_waiting;
      continue;
    }
    *place = change.next_waiting;
    if (!change.next && change.previous) std::erase(throttles_, change.previous->throttle);
    change.message.deliver = [](core::Message& message) {
      auto& over = *static_cast<NamespaceChange*>(message.context);
      over.done(over);
    };
    control_mailbox_.send(change.message);
  }
}

bool PollGroup::is_in_use(const core::IoNamespace* space) const {
  if (!space) return false;
  for (const ReceiveSlab* slab : installed_slabs_)
    for (const RdmaRequest& request : slab->requests())
      if (request.ns == space) return true;
  return false;
}

// Closes the gap that it leaves: whoever probed past it must still be found.
void PollGroup::remove(QueuePair& queue_pair) {
  QueuePair** place = place_of(queue_pair.qp->qp_num);
  *place = nullptr;
  const size_t mask = by_number_.size() - 1;
  for (size_t next = (static_cast<size_t>(place - by_number_.data()) + 1) & mask; by_number_[next];
       next = (next + 1) & mask) {
    QueuePair* moved = by_number_[next];
    by_number_[next] = nullptr;
    *place_of(moved->qp->qp_num) = moved;
  }
}

}  // namespace nvmf::rdma
