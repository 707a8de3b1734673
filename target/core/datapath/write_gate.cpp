#include "target/core/datapath/write_gate.h"

#include <utility>

#include "target/core/datapath/request.h"

namespace nvmf::core {

void GateQueue::append(Request& request) {
  request.next_waiter = nullptr;
  (first_ == nullptr ? first_ : last_->next_waiter) = &request;
  last_ = &request;
}

Request* GateQueue::take() {
  Request* const taken = first_;
  if (taken != nullptr) first_ = taken->next_waiter;
  return taken;
}

bool GateQueue::remove(const Request& request) {
  Request* previous = nullptr;
  for (Request* waiter = first_; waiter != nullptr; previous = waiter, waiter = waiter->next_waiter) {
    if (waiter != &request) continue;
    (previous == nullptr ? first_ : previous->next_waiter) = request.next_waiter;
    if (last_ == &request) last_ = previous;
    return true;
  }
  return false;
}

// The gate's thread --------------------------------------------------------------------------------------------------

void WriteGate::answer() {
  FusedTurns::send(
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
  while (Request* const kept = kept_.take()) kept->execute(*kept);
  answer();
}

void WriteGate::enter_pair(Request& first) {
  pairs_.append(first);
  if (!asked_) ask_for_turn();
}

void WriteGate::ask_for_turn() {
  asked_ = true;
  FusedTurns::send(
      turns_->control_, turn_message_,
      [](Message& message) {
        auto& gate = *static_cast<WriteGate*>(message.context);
        gate.turns_->queue(gate);
      },
      this);
}

// All pairs may have been aborted meanwhile.
void WriteGate::take_turn() {
  if (Request* const first = pairs_.take()) return first->execute(*first);
  leave_pair();
}

void WriteGate::leave_pair() {
  FusedTurns::send(
      turns_->control_, turns_->leave_message_,
      [](Message& message) { static_cast<FusedTurns*>(message.context)->done(); }, turns_);
  asked_ = false;
  if (!pairs_.empty()) ask_for_turn();
}

std::byte* WriteGate::scratch() const { return turns_->scratch_.data(); }

// The control thread -------------------------------------------------------------------------------------------------

void FusedTurns::add(WriteGate& gate, Mailbox* thread) {
  gate.turns_ = this;
  gate.thread_ = thread;
  gate.closed_ = phase_ == Phase::Closing || phase_ == Phase::Running;
  gates_.push_back(&gate);
}

void FusedTurns::remove(WriteGate& gate) {
  std::erase(gates_, &gate);
  std::erase(waiting_, &gate);
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

void FusedTurns::queue(WriteGate& gate) {
  waiting_.push_back(&gate);
  if (phase_ == Phase::Idle) ask_gates(Phase::Closing);
}

void FusedTurns::gate_answered() {
  if (--unanswered_ != 0) return;
  if (phase_ == Phase::Closing) return give_turn();
  phase_ = Phase::Idle;
  if (!waiting_.empty()) ask_gates(Phase::Closing);
}

// The gate that asked may have been removed meanwhile.
void FusedTurns::give_turn() {
  phase_ = Phase::Running;
  if (waiting_.empty()) return done();
  WriteGate& next = *waiting_.front();
  waiting_.erase(waiting_.begin());
  send(
      next.thread_, next.turn_message_, [](Message& message) { static_cast<WriteGate*>(message.context)->take_turn(); },
      &next);
}

void FusedTurns::done() { ask_gates(Phase::Opening); }

}  // namespace nvmf::core
