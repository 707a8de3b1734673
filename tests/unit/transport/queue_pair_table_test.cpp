#include "transport/rdma/queue_pair_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using namespace nvmf::rdma;

namespace {

struct Numbered {
  ibv_qp qp{};
  QueuePair queue_pair;
  explicit Numbered(uint32_t number) {
    qp.qp_num = number;
    queue_pair.qp = &qp;
  }
};

}  // namespace

TEST_CASE("A queue pair is found by its number from its insertion to its removal") {
  QueuePairTable table(8);
  Numbered one(17), other(0);
  CHECK(table.find(17) == nullptr);
  table.insert(one.queue_pair);
  CHECK(table.find(17) == &one.queue_pair);
  CHECK(table.contains(one.queue_pair));
  CHECK_FALSE(table.contains(other.queue_pair));
  table.insert(other.queue_pair);
  table.remove(one.queue_pair);
  CHECK(table.find(17) == nullptr);
  CHECK(table.find(0) == &other.queue_pair);
}

TEST_CASE("A successor with the number of a queue pair that has gone is another one") {
  QueuePairTable table(2);
  Numbered first(5), second(5);
  table.insert(first.queue_pair);
  table.remove(first.queue_pair);
  table.insert(second.queue_pair);
  CHECK_FALSE(table.contains(first.queue_pair));
  CHECK(table.contains(second.queue_pair));
}

TEST_CASE("Random arrivals and departures of a full table: each that is there is found, and no other") {
  constexpr uint32_t kMost = 64;
  std::mt19937 random(20261128);
  QueuePairTable table(kMost);
  std::vector<std::unique_ptr<Numbered>> there;
  for (int step = 0; step < 20000; ++step) {
    const uint32_t number = random() % 200;  // few numbers: many share a place
    if (there.size() < kMost && table.find(number) == nullptr) {
      there.push_back(std::make_unique<Numbered>(number));
      table.insert(there.back()->queue_pair);
    } else if (!there.empty()) {
      std::swap(there[random() % there.size()], there.back());
      table.remove(there.back()->queue_pair);
      const uint32_t gone = there.back()->qp.qp_num;
      there.pop_back();
      REQUIRE(table.find(gone) == nullptr);
    }
    for (const auto& one : there) REQUIRE(table.find(one->qp.qp_num) == &one->queue_pair);
  }
  size_t visited = 0;
  table.visit([&](QueuePair&) { ++visited; });
  CHECK(visited == there.size());
}

TEST_CASE("A few at a time, all of a table are visited, each once") {
  constexpr uint32_t kMost = 64;
  QueuePairTable table(kMost);
  std::vector<std::unique_ptr<Numbered>> there;
  for (uint32_t number = 0; number < kMost; ++number) {
    there.push_back(std::make_unique<Numbered>(number * 7));
    table.insert(there.back()->queue_pair);
  }
  std::vector<const QueuePair*> visited;
  for (size_t place = 0; place != table.end();) {
    const size_t before = visited.size();
    place = table.visit_some(place, 5, [&](QueuePair& queue_pair) { visited.push_back(&queue_pair); });
    CHECK(visited.size() - before <= 5);
  }
  CHECK(visited.size() == kMost);
  std::ranges::sort(visited);
  CHECK(std::ranges::adjacent_find(visited) == visited.end());
}
