// A poll group's queue pairs by number, which the completion of a capsule's receive has. Open addressing; allocates
// only in its constructor. The group's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/rdma/queue_pair.h"

namespace nvmf::rdma {

class QueuePairTable {
 public:
  explicit QueuePairTable(uint32_t max_queue_pairs);

  // Null when no queue pair has this number.
  QueuePair* find(uint32_t qp_num) const { return by_number_[place_of(qp_num)]; }
  bool contains(const QueuePair& queue_pair) const { return find(queue_pair.qp->qp_num) == &queue_pair; }
  bool empty() const { return count_ == 0; }
  // At most `max_queue_pairs` at a time, each with a number of its own.
  void insert(QueuePair& queue_pair);
  void remove(const QueuePair& queue_pair);

  // At most `most` of them, from a place on: 0, or what the call before returned. Returns end() when there is no more.
  // When queue pairs leave the table between two calls, one may be visited twice, or not at all.
  template <class Visitor>
  size_t visit_some(size_t place, unsigned most, Visitor visitor) const {
    for (; place != by_number_.size() && most != 0; ++place) {
      if (by_number_[place] == nullptr) continue;
      --most;
      visitor(*by_number_[place]);
    }
    return place;
  }
  size_t end() const { return by_number_.size(); }
  template <class Visitor>
  void visit(Visitor visitor) const {
    for (QueuePair* queue_pair : by_number_)
      if (queue_pair != nullptr) visitor(*queue_pair);
  }

 private:
  // The place where it is, or would be.
  size_t place_of(uint32_t qp_num) const {
    size_t place = (qp_num * size_t{0x9e3779b1}) & mask();
    while (by_number_[place] != nullptr && by_number_[place]->qp->qp_num != qp_num) place = (place + 1) & mask();
    return place;
  }
  size_t mask() const { return by_number_.size() - 1; }

  std::vector<QueuePair*> by_number_;  // a power of two, at most half full
  size_t count_ = 0;
};

}  // namespace nvmf::rdma
