// Holds writes to a namespace back while one fused Compare and Write runs on it, on every reactor, in every subsystem
// that it is in (dispersed_namespace.h), without a lock.
//
// Each reactor has a gate, used only on its thread and by all views (IoNamespace) there, which counts the changing
// commands that the disk has: an increment and a branch for each. FusedTurns, on the control thread, lets one pair run
// at a time:
//
//   Idle     a gate asks for a turn          -> Closing: each gate is told to close
//   Closing  each has closed, and its disk has no change left  -> Running: that gate runs its first pair, if it has one
//   Running  the pair is done                -> Opening: each gate is told to open, and submits the held commands
//   Opening  each has opened                 -> Idle, or Closing for the next gate
//
// So no other changing command of any queue, host or port of this target runs between the Compare's read and the end of
// the Write. Reads are not held back: a read of several blocks may see a part of the Write. A write waits for one pair
// at most: a gate submits all held commands before it can close again. Pairs wait for their turn at their own reactor's
// gate, so that they can be aborted there.
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
using GateQueue = IntrusiveDoubleList<Request, &Request::next_waiter, &Request::previous_waiter, &Request::waits_in>;

class WriteGate {
 public:
  // Before a changing command is executed. True: it may go on, and leave() must follow when the disk is done. False: it
  // is held, and its executor runs again when the gate opens.
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
  // Stops holding the request, if it was held.
  bool withdraw(Request& request) { return kept_.remove(request); }

  // The executor of a pair's first half runs when its turn has come; leave_pair() follows when the pair is done.
  void enter_pair(Request& first);
  void leave_pair();
  // The pair stops waiting, if it waited.
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
  bool asked_ = false;  // has asked for a turn that has not ended
  uint32_t in_flight_ = 0;
  GateQueue kept_;
  GateQueue pairs_;  // by their first half
  FusedTurns* turns_ = nullptr;
  Mailbox* thread_ = nullptr;  // the gate's; null: the control thread itself
  Message message_;            // to the gate and back, to close and to open
  Message turn_message_;       // from the gate and back
};

// For one namespace in all its subsystems. Outlives its gates' reactors. Control thread.
class FusedTurns {
 public:
  // `control`: the control thread's mailbox; null when everything runs on one thread.
  explicit FusedTurns(Mailbox* control) : control_(control) {}
  FusedTurns(const FusedTurns&) = delete;
  FusedTurns& operator=(const FusedTurns&) = delete;

  // A gate is added before its thread knows it, and removed when its namespace's commands have ended; messages between
  // the two must arrive before it is destroyed.
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
