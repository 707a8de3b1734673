#include "target/core/write_gate.h"

#include "target/core/fabrics.h"
#include "target/core/queue.h"

namespace nvmf::core {
namespace {

void append(Request*& first, Request*& last, Request& request) {
  request.next_waiter = nullptr;
  (first == nullptr ? first : last->next_waiter) = &request;
  last = &request;
}

Request* take(Request*& first) {
  Request* const taken = first;
  if (taken != nullptr) first = taken->next_waiter;
  return taken;
}

}  // namespace

// The gate's thread --------------------------------------------------------------------------------------------------

void WriteGate::keep(Request& request) { append(first_kept_, last_kept_, request); }

bool WriteGate::withdraw(Request& request) {
  Request* previous = nullptr;
  for (Request* kept = first_kept_; kept != nullptr; previous = kept, kept = kept->next_waiter) {
    if (kept != &request) continue;
    (previous == nullptr ? first_kept_ : previous->next_waiter) = request.next_waiter;
    if (last_kept_ == &request) last_kept_ = previous;
    return true;
  }
  return false;
}

void WriteGate::answer() {
  turns_->send(
      turns_->control_, message_, [](Message& message) { static_cast<FusedTurns*>(message.context)->gate_answered(); },
      turns_);
}

void WriteGate::close() {
  closed_ = true;
  if (in_flight_ == 0) answer();
}

// What is kept is with the disk before the answer leaves.
void WriteGate::open() {
  closed_ = false;
  while (Request* const kept = take(first_kept_)) kept->execute(*kept);
  answer();
}

// The pair's thread --------------------------------------------------------------------------------------------------

void FusedTurns::enter(Request& first, void (*run)(Request&)) {
  first.execute = run;
  hop_to_control(first, [](Message& message) {
    Request& pair = request_of(message);
    pair.ns->gate->turns()->queue(pair);
  });
}

void FusedTurns::leave() {
  send(
      control_, leave_message_, [](Message& message) { static_cast<FusedTurns*>(message.context)->done(); }, this);
}

// The control thread -------------------------------------------------------------------------------------------------

void FusedTurns::add(WriteGate& gate, Mailbox* thread) {
  gate.turns_ = this;
  gate.thread_ = thread;
  gates_.push_back(&gate);
}

void FusedTurns::send(Mailbox* to, Message& message, void (*deliver)(Message&), void* context) {
  message.deliver = deliver;
  message.context = context;
  if (to == nullptr) return deliver(message);
  to->send(message);
}

void FusedTurns::ask_gates(Phase phase) {
  phase_ = phase;
  unanswered_ = gates_.size();
  const auto step = phase == Phase::Closing
                        ? [](Message& message) { static_cast<WriteGate*>(message.context)->close(); }
                        : [](Message& message) { static_cast<WriteGate*>(message.context)->open(); };
  for (WriteGate* gate : gates_) send(gate->thread_, gate->message_, step, gate);
}

void FusedTurns::queue(Request& first) {
  append(first_waiting_, last_waiting_, first);
  if (phase_ == Phase::Idle) ask_gates(Phase::Closing);
}

void FusedTurns::gate_answered() {
  if (--unanswered_ != 0) return;
  if (phase_ == Phase::Closing) {
    phase_ = Phase::Running;
    return hop_back(*take(first_waiting_), [](Message& message) {
      Request& pair = request_of(message);
      pair.execute(pair);
    });
  }
  phase_ = Phase::Idle;
  if (first_waiting_ != nullptr) ask_gates(Phase::Closing);
}

void FusedTurns::done() { ask_gates(Phase::Opening); }

}  // namespace nvmf::core
