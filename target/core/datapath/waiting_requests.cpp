// HOT PATH: of commands that find no buffer, or come faster than their namespace's limit.
#include "target/core/datapath/waiting_requests.h"

#include <cstdint>

#include "target/core/datapath/request.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::core {

// What points to the queue's first request; to null when none waits.
Request** WaitingRequests::place_of(const Queue& queue) {
  const uint64_t hash = reinterpret_cast<uintptr_t>(&queue) * 0x9e3779b97f4a7c15;
  Request** place = &buckets_[hash >> (64 - kBucketBits)];
  while (*place != nullptr && (*place)->queue != &queue) place = &(*place)->next_in_bucket;
  return place;
}

void WaitingRequests::add(Request& request) {
  request.next_waiter = nullptr;
  request.last_waiter = &request;
  Request** const place = place_of(*request.queue);
  if (Request* const first = *place; first != nullptr) {
    first->last_waiter->next_waiter = &request;
    first->last_waiter = &request;
    return;
  }
  request.next_in_bucket = nullptr;
  *place = &request;
  append_turn(request);
}

void WaitingRequests::take_first() {
  Request* const taken = turn_first_;
  NVMF_INVARIANT(taken != nullptr);
  unlink_turn(*taken);
  Request* const next = taken->next_waiter;
  follow_in_bucket(place_of(*taken->queue), next);
  if (next != nullptr) append_turn(*next);
}

void WaitingRequests::append_turn(Request& request) {
  request.next_turn = nullptr;
  request.previous_turn = turn_last_;
  (turn_last_ == nullptr ? turn_first_ : turn_last_->next_turn) = &request;
  turn_last_ = &request;
}

void WaitingRequests::unlink_turn(Request& request) {
  (request.previous_turn == nullptr ? turn_first_ : request.previous_turn->next_turn) = request.next_turn;
  (request.next_turn == nullptr ? turn_last_ : request.next_turn->previous_turn) = request.previous_turn;
}

// `next` is the queue's first request now; null: none is left.
void WaitingRequests::follow_in_bucket(Request** place, Request* next) {
  const Request& gone = **place;
  if (next != nullptr) {
    next->last_waiter = gone.last_waiter;
    next->next_in_bucket = gone.next_in_bucket;
  }
  *place = next != nullptr ? next : gone.next_in_bucket;
}

void WaitingRequests::follow_in_turn(const Request& gone, Request& next) {
  next.previous_turn = gone.previous_turn;
  next.next_turn = gone.next_turn;
  (next.previous_turn == nullptr ? turn_first_ : next.previous_turn->next_turn) = &next;
  (next.next_turn == nullptr ? turn_last_ : next.next_turn->previous_turn) = &next;
}

// The queue keeps its place while more of its requests wait.
bool WaitingRequests::remove(Request& request) {
  Request** const place = place_of(*request.queue);
  Request* const first = *place;
  if (first == nullptr) return false;
  if (first == &request) {
    if (request.next_waiter != nullptr)
      follow_in_turn(request, *request.next_waiter);
    else
      unlink_turn(request);
    follow_in_bucket(place, request.next_waiter);
    return true;
  }
  for (Request* waiter = first; waiter->next_waiter != nullptr; waiter = waiter->next_waiter) {
    if (waiter->next_waiter != &request) continue;
    waiter->next_waiter = request.next_waiter;
    if (first->last_waiter == &request) first->last_waiter = waiter;
    return true;
  }
  return false;
}

void WaitingRequests::drop(const Queue& queue, void (*dropped)(Request&)) {
  Request** const place = place_of(queue);
  Request* waiter = *place;
  if (waiter == nullptr) return;
  unlink_turn(*waiter);
  *place = waiter->next_in_bucket;
  while (waiter != nullptr) {
    Request* const next = waiter->next_waiter;  // dropping may reuse the request
    dropped(*waiter);
    waiter = next;
  }
}

}  // namespace nvmf::core
