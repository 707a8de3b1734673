#include "target/core/datapath/write_gate.h"

namespace nvmf::core {

// The gate's thread --------------------------------------------------------------------------------------------------

void WriteGate::answer() {
  FusedTurns::send(turns_->control_, message_, *turns_, [](FusedTurns& turns) { turns.gate_answered(); });
}

void WriteGate::close() {
  closed_ = true;
  if (in_flight_ == 0) answer();
}

// Held commands are submitted before the answer is sent.
void WriteGate::open() {
  closed_ = false;
  while (Request* const kept = kept_.pop()) kept->execute(*kept);
  answer();
}

void WriteGate::enter_pair(Request& first) {
  pairs_.push(first);
  if (!asked_) ask_for_turn();
}

void WriteGate::ask_for_turn() {
  asked_ = true;
  FusedTurns::send(turns_->control_, turn_message_, *this, [](WriteGate& gate) { gate.turns_->queue(gate); });
}

// All pairs may have been aborted meanwhile.
void WriteGate::take_turn() {
  if (Request* const first = pairs_.pop()) return first->execute(*first);
  leave_pair();
}

void WriteGate::leave_pair() {
  FusedTurns::send(turns_->control_, turns_->leave_message_, *turns_, [](FusedTurns& turns) { turns.done(); });
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

void FusedTurns::ask_gates(Phase phase) {
  phase_ = phase;
  unanswered_ = gates_.size();
  for (WriteGate* gate : gates_) {
    if (phase == Phase::Closing)
      send(gate->thread_, gate->message_, *gate, [](WriteGate& closed) { closed.close(); });
    else
      send(gate->thread_, gate->message_, *gate, [](WriteGate& opened) { opened.open(); });
  }
}

void FusedTurns::queue(WriteGate& gate) {
  waiting_.push_back(&gate);
  if (phase_ == Phase::Idle) ask_gates(Phase::Closing);
}

void FusedTurns::gate_answered() {
  NVMF_INVARIANT(unanswered_ != 0);
  if (--unanswered_ != 0) return;
  if (phase_ == Phase::Closing) return give_turn();
  phase_ = Phase::Idle;
  if (!waiting_.empty()) ask_gates(Phase::Closing);
}

// The gate that asked for the turn may have been removed meanwhile.
void FusedTurns::give_turn() {
  phase_ = Phase::Running;
  if (waiting_.empty()) return done();
  WriteGate& next = *waiting_.front();
  waiting_.erase(waiting_.begin());
  send(next.thread_, next.turn_message_, next, [](WriteGate& gate) { gate.take_turn(); });
}

void FusedTurns::done() { ask_gates(Phase::Opening); }

}  // namespace nvmf::core
