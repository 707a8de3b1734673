#include "target/core/waiting_requests.h"

#include <cassert>

#include "target/core/request.h"

namespace nvmf::core {

void WaitingRequests::add(Request& request) {
  request.next_waiter = nullptr;
  request.last_waiter = &request;
  for (Request* turn = turn_first_; turn != nullptr; turn = turn->next_turn) {
    if (turn->queue != request.queue) continue;
    turn->last_waiter->next_waiter = &request;
    turn->last_waiter = &request;
    return;
  }
  append_turn(request);
}

void WaitingRequests::take_first() {
  Request* const taken = turn_first_;
  assert(taken != nullptr);
  turn_first_ = taken->next_turn;
  if (turn_first_ == nullptr) turn_last_ = nullptr;
  Request* const next = taken->next_waiter;
  if (next == nullptr) return;
  next->last_waiter = taken->last_waiter;
  append_turn(*next);
}

void WaitingRequests::append_turn(Request& request) {
  request.next_turn = nullptr;
  (turn_last_ == nullptr ? turn_first_ : turn_last_->next_turn) = &request;
  turn_last_ = &request;
}

void WaitingRequests::drop(Queue& queue, void (*dropped)(Request&)) {
  Request* previous = nullptr;
  Request* turn = turn_first_;
  while (turn != nullptr && turn->queue != &queue) {
    previous = turn;
    turn = turn->next_turn;
  }
  if (turn == nullptr) return;
  (previous == nullptr ? turn_first_ : previous->next_turn) = turn->next_turn;
  if (turn_last_ == turn) turn_last_ = previous;

  while (turn != nullptr) {
    Request* const next = turn->next_waiter;  // dropping may reuse the request
    dropped(*turn);
    turn = next;
  }
}

}  // namespace nvmf::core
