// Requests that wait for the same thing. Hosts (Queue::share) take turns, however many queues they have, and each
// host's requests stay in order, so that one busy host cannot starve another. A queue may wait in several places at
// once, so nothing of this lies in Queue: the requests themselves are linked, and a host's first one is found by a
// table. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nvmf::core {

struct Request;

class WaitingRequests {
 public:
  WaitingRequests() = default;
  WaitingRequests(const WaitingRequests&) = delete;
  WaitingRequests& operator=(const WaitingRequests&) = delete;

  void add(Request& request);
  // The request whose turn it is, null when none waits. It stays first until take().
  Request* first() const { return turn_first_; }
  // The first request of the host whose turn is next; null when there is none. `request` is the first of its host.
  static Request* next_turn(const Request& request);
  // Removes the first request of a host, which has its next turn after all others.
  void take(Request& request);
  // Removes the request, if it waits here: at the same cost however many do.
  bool remove(Request& request);

 private:
  static constexpr size_t kBuckets = 64;

  Request** place_of(uint16_t share);
  void append_turn(Request& request);
  void unlink_turn(Request& request);
  void unlink(Request& request);
  static void follow_in_bucket(Request** place, Request* next);
  void follow_in_turn(const Request& gone, Request& next);

  Request* turn_first_ = nullptr;  // the first waiting request of each host, in turn
  Request* turn_last_ = nullptr;
  std::array<Request*, kBuckets> buckets_{};  // the same requests, by their host
};

}  // namespace nvmf::core
