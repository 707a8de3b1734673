#include "target/core/datapath/waiting_requests.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
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
      if (turn.first == request.queue->share) return turn.second.push_back(&request);
    turns_.push_back({request.queue->share, {&request}});
  }
  // The first request of the host whose turn is after `turns` others; null: there is none.
  Request* first(size_t turns = 0) const {
    return turns < turns_.size() ? std::next(turns_.begin(), static_cast<ptrdiff_t>(turns))->second.front() : nullptr;
  }
  size_t hosts() const { return turns_.size(); }
  void take(size_t turns) {
    const auto place = std::next(turns_.begin(), static_cast<ptrdiff_t>(turns));
    Turn turn = std::move(*place);
    turns_.erase(place);
    turn.second.pop_front();
    if (!turn.second.empty()) turns_.push_back(std::move(turn));
  }
  bool remove(const Request& request) {
    for (Turn& turn : turns_) {
      if (turn.first != request.queue->share) continue;
      const bool removed = std::erase(turn.second, &request) != 0;
      if (turn.second.empty()) turns_.remove(turn);
      return removed;
    }
    return false;
  }

 private:
  using Turn = std::pair<uint16_t, std::deque<Request*>>;  // of a host
  std::list<Turn> turns_;
};

// More hosts than the table has places, and two queues each. Each step makes all kinds of changes follow each other.
TEST_CASE("Whatever comes, goes, is aborted or dropped: hosts take turns, and each one's requests stay in order") {
  std::mt19937 random(7);
  const auto below = [&](size_t bound) { return random() % bound; };
  for (const size_t queue_count : {2u, 5u, 300u}) {
    CAPTURE(queue_count);
    std::vector<Queue> queues(queue_count);
    for (size_t i = 0; i < queues.size(); ++i) queues[i].share = static_cast<uint16_t>(i / 2);
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
        for (Request& request : requests) {
          if (request.queue != &queue) continue;
          REQUIRE(waiting.remove(request) == model.remove(request));
          forget(&request);
        }
      } else if (what > 5 && model.first() != nullptr) {
        const size_t turns = what == 6 ? 0 : below(model.hosts());
        Request* waiter = waiting.first();
        for (size_t i = 0; i < turns; ++i) waiter = WaitingRequests::next_turn(*waiter);
        REQUIRE(waiter == model.first(turns));
        forget(waiter);
        waiting.take(*waiter);
        model.take(turns);
      }
      REQUIRE(waiting.first() == model.first());
    }
    while (model.first() != nullptr) {
      REQUIRE(waiting.first() == model.first());
      waiting.take(*waiting.first());
      model.take(0);
    }
    CHECK(waiting.first() == nullptr);
  }
}

// Half a minute, where each of them is looked for among all.
TEST_CASE("A hundred thousand requests of one host that wait are aborted one by one, the last first, within seconds") {
  Queue queue;
  std::vector<Request> requests(100'000);
  WaitingRequests waiting;
  for (Request& request : requests) {
    request.queue = &queue;
    waiting.add(request);
  }
  const auto begun = std::chrono::steady_clock::now();
  for (size_t i = requests.size(); i-- > 1;) REQUIRE(waiting.remove(requests[i]));
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(5));
  CHECK(waiting.first() == &requests.front());
}

}  // namespace
