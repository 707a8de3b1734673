#include "target/core/datapath/waiting_requests.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <list>
#include <random>
#include <utility>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"

using namespace nvmf::core;

namespace {

// What WaitingRequests promises, in the simplest way.
class Model {
 public:
  void add(Request& request) {
    for (Turn& turn : turns_)
      if (turn.first == request.queue) return turn.second.push_back(&request);
    turns_.push_back({request.queue, {&request}});
  }
  Request* first() const { return turns_.empty() ? nullptr : turns_.front().second.front(); }
  void take_first() {
    Turn turn = std::move(turns_.front());
    turns_.pop_front();
    turn.second.pop_front();
    if (!turn.second.empty()) turns_.push_back(std::move(turn));
  }
  bool remove(const Request& request) {
    for (Turn& turn : turns_) {
      if (turn.first != request.queue) continue;
      const bool removed = std::erase(turn.second, &request) != 0;
      if (turn.second.empty()) turns_.remove(turn);
      return removed;
    }
    return false;
  }
  std::deque<const Request*> drop(const Queue& queue) {
    std::deque<const Request*> dropped;
    for (const Turn& turn : turns_)
      if (turn.first == &queue) dropped.assign(turn.second.begin(), turn.second.end());
    turns_.remove_if([&](const Turn& turn) { return turn.first == &queue; });
    return dropped;
  }

 private:
  using Turn = std::pair<const Queue*, std::deque<Request*>>;
  std::list<Turn> turns_;
};

std::deque<const Request*> dropped;

// More queues than there are places of the hash. Each step makes all kinds of changes follow each other.
TEST_CASE("Whatever comes, goes, is aborted or dropped: queues take turns, and each one's requests stay in order") {
  std::mt19937 random(7);
  const auto below = [&](size_t bound) { return random() % bound; };
  for (const size_t queue_count : {2u, 5u, 200u}) {
    CAPTURE(queue_count);
    std::vector<Queue> queues(queue_count);
    std::vector<Request> requests(300);
    std::vector<bool> waits(requests.size());
    WaitingRequests waiting;
    Model model;
    const auto forget = [&](const Request* request) { waits[static_cast<size_t>(request - requests.data())] = false; };
    for (int step = 0; step < 20'000; ++step) {
      const size_t chosen = below(requests.size());
      const size_t what = below(8);
      if (what < 4 && !waits[chosen]) {
        requests[chosen].queue = &queues[below(queue_count)];
        waiting.add(requests[chosen]);
        model.add(requests[chosen]);
        waits[chosen] = true;
      } else if (what == 4 && requests[chosen].queue != nullptr) {
        const bool removed = waiting.remove(requests[chosen]);
        REQUIRE(removed == model.remove(requests[chosen]));
        REQUIRE(removed == waits[chosen]);
        waits[chosen] = false;
      } else if (what == 5 && below(10) == 0) {
        const Queue& queue = queues[below(queue_count)];
        dropped.clear();
        waiting.drop(queue, [](Request& request) { dropped.push_back(&request); });
        REQUIRE(dropped == model.drop(queue));
        for (const Request* request : dropped) forget(request);
      } else if (what > 5 && model.first() != nullptr) {
        forget(model.first());
        waiting.take_first();
        model.take_first();
      }
      REQUIRE(waiting.first() == model.first());
    }
    while (model.first() != nullptr) {
      REQUIRE(waiting.first() == model.first());
      waiting.take_first();
      model.take_first();
    }
    CHECK(waiting.first() == nullptr);
  }
}

}  // namespace
