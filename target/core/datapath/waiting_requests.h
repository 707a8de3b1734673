// Requests that wait for the same thing. Queues take turns, and each queue's requests stay in order, so that one busy
// host cannot starve another. (A queue may wait in several places at once, so nothing of this lies in Queue: the
// requests themselves are linked, and add() looks through the queues that wait.) One thread.
#pragma once

namespace nvmf::core {

struct Queue;
struct Request;

class WaitingRequests {
 public:
  void add(Request& request);
  // The one whose turn it is, null when none waits. It stays first until take_first().
  Request* first() const { return turn_first_; }
  void take_first();
  // Forgets it, if it waits.
  bool remove(Request& request);
  // Forgets every request of `queue` (its connection is gone) and calls `dropped` for each.
  void drop(Queue& queue, void (*dropped)(Request&));

 private:
  void append_turn(Request& request);
  void remove_first_of_turn(Request& request, Request* previous_turn);

  Request* turn_first_ = nullptr;  // the first waiting request of each queue, in turn
  Request* turn_last_ = nullptr;
};

}  // namespace nvmf::core
