// HOT PATH: of commands that find no buffer, or come faster than their namespace's limit.
#include "target/core/datapath/waiting_requests.h"

#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::core {

// What points to the host's first request; to null when none waits.
Request** WaitingRequests::place_of(uint16_t share) {
  Request** place = &buckets_[share % kBuckets];
  while (*place != nullptr && (*place)->queue->share != share) place = &(*place)->next_in_bucket;
  return place;
}

void WaitingRequests::add(Request& request) {
  NVMF_INVARIANT(request.waits_in == nullptr);
  request.waits_in = this;
  request.next_waiter = nullptr;
  request.previous_waiter = nullptr;
  request.last_waiter = &request;
  Request** const place = place_of(request.queue->share);
  if (Request* const first = *place; first != nullptr) {
    request.previous_waiter = first->last_waiter;
    first->last_waiter->next_waiter = &request;
    first->last_waiter = &request;
    return;
  }
  request.next_in_bucket = nullptr;
  *place = &request;
  append_turn(request);
}

Request* WaitingRequests::next_turn(const Request& request) { return request.next_turn; }

void WaitingRequests::take(Request& request) {
  Request** const place = place_of(request.queue->share);
  NVMF_INVARIANT(*place == &request);
  unlink_turn(request);
  request.waits_in = nullptr;
  Request* const next = request.next_waiter;
  follow_in_bucket(place, next);
  if (next == nullptr) return;
  next->previous_waiter = nullptr;
  append_turn(*next);
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

// `next` is the host's first request now; null: none is left.
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

// The host keeps its turn while more of its requests wait.
void WaitingRequests::unlink(Request& request) {
  Request* const previous = request.previous_waiter;
  Request* const next = request.next_waiter;
  if (next != nullptr) next->previous_waiter = previous;
  if (previous != nullptr) {
    previous->next_waiter = next;
    if (next == nullptr) (*place_of(request.queue->share))->last_waiter = previous;
    return;
  }
  if (next != nullptr)
    follow_in_turn(request, *next);
  else
    unlink_turn(request);
  follow_in_bucket(place_of(request.queue->share), next);
}

bool WaitingRequests::remove(Request& request) {
  if (request.waits_in != this) return false;
  unlink(request);
  request.waits_in = nullptr;
  return true;
}

}  // namespace nvmf::core
