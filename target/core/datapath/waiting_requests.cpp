#include "target/core/datapath/waiting_requests.h"

#include <cassert>

#include "target/core/datapath/request.h"

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

bool WaitingRequests::remove(Request& request) {
  Request* previous_turn = nullptr;
  Request* turn = turn_first_;
  while (turn != nullptr && turn->queue != request.queue) {
    previous_turn = turn;
    turn = turn->next_turn;
  }
  if (turn == nullptr) return false;
  if (turn == &request) {
    remove_first_of_turn(request, previous_turn);
    return true;
  }
  for (Request* waiter = turn; waiter->next_waiter != nullptr; waiter = waiter->next_waiter) {
    if (waiter->next_waiter != &request) continue;
    waiter->next_waiter = request.next_waiter;
    if (turn->last_waiter == &request) turn->last_waiter = waiter;
    return true;
  }
  return false;
}

// The queue keeps its turn while it has more that waits.
void WaitingRequests::remove_first_of_turn(Request& request, Request* previous_turn) {
  Request* const next = request.next_waiter;
  if (next != nullptr) {
    next->last_waiter = request.last_waiter;
    next->next_turn = request.next_turn;
  }
  (previous_turn == nullptr ? turn_first_ : previous_turn->next_turn) = next != nullptr ? next : request.next_turn;
  if (turn_last_ == &request) turn_last_ = next != nullptr ? next : previous_turn;
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
