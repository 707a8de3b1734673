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
  request.next_waiter = nullptr;
  request.last_waiter = &request;
  Request** const place = place_of(request.queue->share);
  if (Request* const first = *place; first != nullptr) {
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
  Request* const next = request.next_waiter;
  follow_in_bucket(place, next);
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

// The host keeps its turn while more of its requests wait. `previous`: null when the request is the host's first.
void WaitingRequests::unlink(Request** place, Request* previous, Request& request) {
  if (previous != nullptr) {
    previous->next_waiter = request.next_waiter;
    if ((*place)->last_waiter == &request) (*place)->last_waiter = previous;
    return;
  }
  if (request.next_waiter != nullptr)
    follow_in_turn(request, *request.next_waiter);
  else
    unlink_turn(request);
  follow_in_bucket(place, request.next_waiter);
}

bool WaitingRequests::remove(Request& request) {
  Request** const place = place_of(request.queue->share);
  Request* previous = nullptr;
  for (Request* waiter = *place; waiter != nullptr; previous = waiter, waiter = waiter->next_waiter) {
    if (waiter != &request) continue;
    unlink(place, previous, request);
    return true;
  }
  return false;
}

uint32_t WaitingRequests::drop(const Queue& queue, void (*dropped)(Request&)) {
  Request** const place = place_of(queue.share);
  Request* gone = nullptr;
  Request** gone_end = &gone;
  Request* previous = nullptr;
  for (Request* waiter = *place; waiter != nullptr;) {
    Request* const next = waiter->next_waiter;
    if (waiter->queue == &queue) {
      unlink(place, previous, *waiter);
      waiter->next_waiter = nullptr;
      *gone_end = waiter;
      gone_end = &waiter->next_waiter;
    } else {
      previous = waiter;
    }
    waiter = next;
  }
  uint32_t count = 0;
  while (gone != nullptr) {
    Request* const next = gone->next_waiter;  // dropping may reuse the request
    dropped(*gone);
    gone = next;
    ++count;
  }
  return count;
}

}  // namespace nvmf::core
