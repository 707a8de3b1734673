#include "transport/rdma/queue_pair_table.h"

#include <bit>

#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {

QueuePairTable::QueuePairTable(uint32_t max_queue_pairs) : by_number_(std::bit_ceil(size_t{2} * max_queue_pairs)) {}

void QueuePairTable::insert(QueuePair& queue_pair) {
  QueuePair*& place = by_number_[place_of(queue_pair.qp->qp_num)];
  NVMF_INVARIANT(place == nullptr);
  NVMF_INVARIANT(count_ < by_number_.size() / 2);
  place = &queue_pair;
  ++count_;
}

// Closes the gap: entries that were placed after it must still be found.
void QueuePairTable::remove(const QueuePair& queue_pair) {
  const size_t place = place_of(queue_pair.qp->qp_num);
  NVMF_INVARIANT(by_number_[place] == &queue_pair);
  by_number_[place] = nullptr;
  --count_;
  for (size_t next = (place + 1) & mask(); by_number_[next] != nullptr; next = (next + 1) & mask()) {
    QueuePair* const moved = by_number_[next];
    by_number_[next] = nullptr;
    by_number_[place_of(moved->qp->qp_num)] = moved;
  }
}

}  // namespace nvmf::rdma
