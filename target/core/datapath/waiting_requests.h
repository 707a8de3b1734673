// Requests that wait for the same thing. Queues take turns, and each queue's requests stay in order, so that one busy
// host cannot starve another. A queue may wait in several places at once, so nothing of this lies in Queue: the
// requests themselves are linked, and a queue's first one is found by a hash of the queue. One thread.
#pragma once

#include <array>
#include <cstddef>

namespace nvmf::core {

struct Queue;
struct Request;

class WaitingRequests {
 public:
  void add(Request& request);
  // The request whose turn it is, null when none waits. It stays first until take_first().
  Request* first() const { return turn_first_; }
  void take_first();
  // Removes the request, if it waits.
  bool remove(Request& request);
  // Removes every request of `queue` (its connection is gone) and calls `dropped` for each.
  void drop(const Queue& queue, void (*dropped)(Request&));

 private:
  static constexpr unsigned kBucketBits = 6;

  Request** place_of(const Queue& queue);
  void append_turn(Request& request);
  void unlink_turn(Request& request);
  static void follow_in_bucket(Request** place, Request* next);
  void follow_in_turn(const Request& gone, Request& next);

  Request* turn_first_ = nullptr;  // the first waiting request of each queue, in turn
  Request* turn_last_ = nullptr;
  std::array<Request*, size_t{1} << kBucketBits> buckets_{};  // the same requests, by their queue
};

}  // namespace nvmf::core
