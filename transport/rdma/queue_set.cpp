#include "transport/rdma/queue_set.h"

#include <algorithm>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {
namespace {

constexpr uint32_t kMaxSlots = 16384;
constexpr uint32_t kMaxSendCompletions = 65536;  // of as many queues as the slots are enough for
constexpr uint32_t kMaxQueuePairs = 512;
constexpr uint32_t kMinSlabSlots = 64;

uint32_t at_most(uint32_t ours, int device) { return std::min(ours, static_cast<uint32_t>(std::max(device, 1))); }

}  // namespace

QueueSetLimits QueueSetLimits::of(ibv_context* context) { return of(verbs::query_device(context)); }

QueueSetLimits QueueSetLimits::of(const ibv_device_attr& device) {
  return {.slots = std::min(at_most(kMaxSlots, device.max_srq_wr), at_most(kMaxSlots, device.max_cqe)),
          .send_completions = at_most(kMaxSendCompletions, device.max_cqe),
          .queue_pairs = kMaxQueuePairs};
}

uint32_t QueueSetLimits::capacity(uint32_t depth, uint32_t send_entries) const {
  return std::min({queue_pairs, slots / depth, send_completions / send_entries});
}

uint64_t QueueSetLimits::memory_bytes(uint32_t in_capsule_bytes) const {
  return uint64_t{slots} * (in_capsule_bytes + core::limits::kSqeBytes + sizeof(ReceiveSlot)) +
         uint64_t{requests_of(slots)} * sizeof(RdmaRequest);
}

QueueSet::QueueSet(PollGroup& of, ibv_pd* domain_of, ibv_comp_channel* channel_of, const QueueSetLimits& bounds,
                   uint32_t room_bytes)
    : group(of),
      domain(domain_of),
      channel(channel_of),
      limits(bounds),
      in_capsule_bytes(room_bytes),
      by_number(bounds.queue_pairs) {
  create_queues();
}

QueueSet::~QueueSet() { acknowledge_events(); }

void QueueSet::create_queues() {
  acknowledge_events();
  shared_receives.reset();
  receive_cq.reset();
  send_cq.reset();
  receive_armed = send_armed = false;
  ibv_context* const context = domain->context;
  receive_cq = verbs::create_completion_queue(context, static_cast<int>(limits.slots), channel);
  send_cq = verbs::create_completion_queue(context, static_cast<int>(limits.send_completions), channel);
  shared_receives = verbs::create_shared_receive_queue(domain, limits.slots, 2);
}

// The completion queues wait for that when they are destroyed.
void QueueSet::acknowledge_events() {
  if (receive_events != 0) ibv_ack_cq_events(receive_cq.get(), std::exchange(receive_events, 0));
  if (send_events != 0) ibv_ack_cq_events(send_cq.get(), std::exchange(send_events, 0));
}

uint32_t QueueSet::slots_needed_with(uint32_t depth) const {
  return slots_reserved + depth + static_cast<uint32_t>(slots_missing.get());
}

bool QueueSet::has_room(uint32_t depth, uint32_t send_entries) const {
  return queue_pairs < limits.queue_pairs && slots_needed_with(depth) <= limits.slots &&
         send_completions_reserved + send_entries <= limits.send_completions;
}

ReceiveSlab* QueueSet::reserve(uint32_t depth, uint32_t send_entries) {
  ReceiveSlab* added = nullptr;
  // A few slots less than queues have entries delay only a host that uses all of them at a time: no memory for that.
  const uint64_t in_doubt = slots_in_doubt.get();
  const uint64_t wished = slots_needed_with(depth) + (4 * in_doubt > slots ? in_doubt : 0);
  if (const auto needed = static_cast<uint32_t>(std::min<uint64_t>(wished, limits.slots)); needed > slots) {
    const uint32_t wanted = std::max(needed - slots, kMinSlabSlots);
    added = &add_slab(std::min(wanted + wanted % 2, limits.slots - slots));
  }
  slots_reserved += depth;
  send_completions_reserved += send_entries;
  ++queue_pairs;
  return added;
}

void QueueSet::unreserve(uint32_t depth, uint32_t send_entries) {
  NVMF_INVARIANT(queue_pairs != 0 && slots_reserved >= depth && send_completions_reserved >= send_entries);
  slots_reserved -= depth;
  send_completions_reserved -= send_entries;
  --queue_pairs;
}

void QueueSet::lend_requests(QueuePair& queue_pair) {
  for (uint32_t i = 0; i < queue_pair.max_requests; ++i) {
    NVMF_INVARIANT(!spare_requests.empty());  // slots were reserved for it, and each slab has requests for its slots
    RdmaRequest& request = *spare_requests.pop();
    request.next_lent = std::exchange(queue_pair.lent, &request);
    queue_pair.free_requests.push_front(request);
  }
}

void QueueSet::take_back_requests(QueuePair& queue_pair) {
  NVMF_INVARIANT(queue_pair.requests_held == 0);
  queue_pair.lent = nullptr;
  while (RdmaRequest* const request = queue_pair.free_requests.pop()) spare_requests.push(*request);
}

ReceiveSlab& QueueSet::add_slab(uint32_t count) {
  slabs.push_back(std::make_unique<ReceiveSlab>(domain, count, in_capsule_bytes));
  slabs.back()->queues = this;
  slots += count;
  NVMF_INVARIANT(slots <= limits.slots);
  return *slabs.back();
}

}  // namespace nvmf::rdma
