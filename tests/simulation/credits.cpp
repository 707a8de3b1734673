#include "tests/simulation/credits.h"

#include "target/core/datapath/limits.h"
#include "tests/rnic/queue_pair.h"
#include "tests/rnic/shared_receive_queue.h"

namespace nvmf::simulation {
namespace {

// What has to be counted is counted in one of so many steps.
constexpr uint64_t kCountEvery = 256;

}  // namespace

void Credits::check(const rdma::Transport& transport, const daemon::PeerMemories& peer_memories) {
  transport.visit([this](const rdma::Connection& connection) { check(connection.queue_pair()); });
  if (++steps_ % kCountEvery != 0) return;
  requests_lent_.clear();
  transport.visit([this](const rdma::Connection& connection) {
    const rdma::QueuePair& queue_pair = connection.queue_pair();
    if (queue_pair.lent == nullptr) return;  // its poll group does not know it yet, or no more
    requests_lent_[queue_pair.queues] += queue_pair.max_requests;
    uint64_t free = 0;
    for (const rdma::RdmaRequest* one = queue_pair.free_requests.front(); one != nullptr; one = one->next) ++free;
    at_most(free + queue_pair.requests_held, queue_pair.max_requests, "request objects, free and held, of a queue");
    at_most(queue_pair.max_requests, free + queue_pair.requests_held,
            "request objects of a queue, of which some are neither free nor held");
  });
  for (const auto& rnic : transport.rnics()) rnic->visit([this](rdma::PollGroup& group) { check(group); });
  for (const auto& ssd : peer_memories.prepared())
    for (const auto& pair : ssd.pairs)
      for (const core::BufferPool* pool : pair.pools) check(*pool, "CMB");
}

void Credits::check(const rdma::QueuePair& queue_pair) {
  const auto& model = *static_cast<const rnic::QueuePair*>(queue_pair.qp);
  const uint32_t posted = queue_pair.send_entries - queue_pair.send_entries_free;
  at_most(queue_pair.send_entries_free, queue_pair.send_entries, "free send queue entries beyond those of the queue");
  at_most(queue_pair.reads_free, queue_pair.read_depth, "free RDMA READs beyond the read depth");
  at_most(model.reads_posted(), queue_pair.read_depth, "RDMA READs beyond the read depth");
  // A queue pair that has failed counts no more.
  if (!queue_pair.failed) at_most(model.used_send_entries(), posted, "send queue entries that are not accounted for");
  at_most(queue_pair.slots_held, queue_pair.queue->depth, "receive slots beyond the queue's depth");
  at_most(queue_pair.requests_held, queue_pair.max_requests, "request objects beyond the queue's share");
  at_most(queue_pair.requests_held, queue_pair.outstanding, "request objects without a command");
}

void Credits::check(rdma::PollGroup& group) {
  check(group.dram(), "DRAM");
  if (group.takes_no_queue_pairs()) return;
  for (const auto& queues : group.queue_sets()) {
    const auto& receives = *static_cast<const rnic::SharedReceiveQueue*>(queues->shared_receives.get());
    at_most(receives.posted(), queues->slots, "receives beyond the slots of the shared receive queue");
    const uint64_t lent = requests_lent_[queues.get()];
    uint64_t all = 0;
    queues->visit_requests([&](const rdma::RdmaRequest&) { ++all; });
    uint64_t spare = 0;
    for (const rdma::RdmaRequest* one = queues->spare_requests.front(); one != nullptr; one = one->next) ++spare;
    at_most(spare + lent, all, "request objects that are spare and lent, together");
    at_most(all, spare + lent, "request objects, of which some are neither spare nor lent");
  }
}

void Credits::check(const core::BufferPool& pool, const std::string& kind) {
  uint64_t held = 0;
  for (uint32_t share = 0; share < core::limits::kBufferShares; ++share)
    held += pool.held_bytes(static_cast<uint16_t>(share));
  at_most(pool.used_bytes(), pool.size_bytes(), (kind + " beyond its pool").c_str());
  at_most(held, pool.used_bytes(), (kind + " of hosts beyond what is used").c_str());
  at_most(pool.used_bytes(), held, (kind + " in use that is no host's").c_str());
}

void Credits::at_most(uint64_t held, uint64_t most, const char* what) {
  if (held <= most || !told_.insert(what).second) return;
  fabric_.fault(std::string(what) + ": " + std::to_string(held) + ", and at most " + std::to_string(most) +
                " are allowed");
}

}  // namespace nvmf::simulation
