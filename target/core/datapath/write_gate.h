// Keeps writes out of a namespace while one fused Compare and Write runs on it, on every reactor, in every subsystem
// that it is in (dispersed_namespace.h), without a lock.
//
// Each reactor has a gate, of its thread alone and of all views (IoNamespace) there, which counts the changes that the
// disk has from there: an increment and a branch for each, no more. FusedTurns is the control thread's and lets one
// pair run at a time:
//
//   Idle     a gate asks for a turn          -> Closing: each gate is told to close
//   Closing  each has closed, and its disk has no change left  -> Running: that gate runs its first pair, if it has one
//   Running  the pair is done                -> Opening: each gate is told to open, and submits what it kept
//   Opening  each has opened                 -> Idle, or Closing for the next gate
//
// So no other change that goes through this target, by any queue, host or port, runs between the Compare's read and the
// end of the Write. Reads are not kept: of more than one block they may see a part of the Write. A write waits for one
// pair at most: what a gate kept is with the disk before it can close again. Pairs wait for their turn at their own
// reactor's gate, so that they can be aborted there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/request.h"
#include "target/core/reactor/intrusive_list.h"
#include "target/core/reactor/invariant.h"
#include "target/core/reactor/mailbox.h"

namespace nvmf::core {

class FusedTurns;

// Requests that wait at a gate.
using GateQueue = IntrusiveList<Request, &Request::next_waiter>;

class WriteGate {
 public:
  // A change is about to be executed. True: it goes on, and leave() follows when the disk is done. False: it is kept,
  // and its executor runs again when the gate opens.
  bool enter(Request& request) {
    if (closed_) [[unlikely]] {
      kept_.push(request);
      return false;
    }
    ++in_flight_;
    return true;
  }
  void leave() {
    NVMF_INVARIANT(in_flight_ != 0);
    --in_flight_;
    if (closed_ && in_flight_ == 0) [[unlikely]]
      answer();
  }
  // The request is kept no more, if it was.
  bool withdraw(Request& request) { return kept_.remove(request); }

  // The executor of a pair's first half runs when its turn has come; leave_pair() follows when the pair is done.
  void enter_pair(Request& first);
  void leave_pair();
  // The pair waits no more, if it did.
  bool withdraw_pair(Request& first) { return pairs_.remove(first); }
  // Memory for the running pair's Compare to read into, so that it waits for no buffer.
  std::byte* scratch() const;

 private:
  friend class FusedTurns;
  void answer();
  void close();
  void open();
  void ask_for_turn();
  void take_turn();

  bool closed_ = false;
  bool asked_ = false;  // for a turn, which has not ended
  uint32_t in_flight_ = 0;
  GateQueue kept_;
  GateQueue pairs_;  // by their first half
  FusedTurns* turns_ = nullptr;
  Mailbox* thread_ = nullptr;  // the gate's; null: the control thread itself
  Message message_;            // to the gate and back, to close and to open
  Message turn_message_;       // from the gate and back
};

// Of one namespace, wherever it is. Outlives its gates' reactors. Control thread.
class FusedTurns {
 public:
  // `control`: the control thread's mailbox; null where all is on one thread.
  explicit FusedTurns(Mailbox* control) : control_(control) {}
  FusedTurns(const FusedTurns&) = delete;
  FusedTurns& operator=(const FusedTurns&) = delete;

  // A gate comes before its thread knows of it, and goes when its namespace's commands are over; what the two have
  // still to tell each other must arrive before it is destroyed.
  void add(WriteGate& gate, Mailbox* thread);
  void remove(WriteGate& gate);

 private:
  friend class WriteGate;
  enum class Phase : uint8_t { Idle, Closing, Running, Opening };
  // At once where both are on one thread.
  template <class About, class Call>
  static void send(Mailbox* to, Message& message, About& about, Call call) {
    if (to == nullptr) return call(about);
    to->send(message, about, call);
  }
  void ask_gates(Phase phase);
  void queue(WriteGate& gate);
  void gate_answered();
  void give_turn();
  void done();

  Mailbox* control_;
  std::vector<WriteGate*> gates_;
  std::vector<WriteGate*> waiting_;  // for their turn, the first next
  Phase phase_ = Phase::Idle;
  size_t unanswered_ = 0;  // gates, in Closing and Opening
  Message leave_message_;  // the running gate's
  alignas(limits::kPageBytes) std::array<std::byte, limits::kMaxInCapsuleBytes> scratch_;
};

}  // namespace nvmf::core
