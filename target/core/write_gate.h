// Keeps a namespace's writes out while one fused Compare and Write runs on it, on every reactor, without a lock.
//
// Each reactor has a gate, of its thread alone and of all views (IoNamespace) there, which counts the changes that the
// disk has from there: an increment and a branch for each, no more. FusedTurns is the control thread's and lets one
// pair run at a time:
//
//   Idle     a pair comes                    -> Closing: each gate is told to close
//   Closing  each has closed, and its disk has no change left  -> Running: the pair runs, on its own reactor
//   Running  the pair is done                -> Opening: each gate is told to open, and submits what it kept
//   Opening  each has opened                 -> Idle, or Closing for the next pair
//
// So no other change that goes through this target, by any queue, host or port, runs between the Compare's read and the
// end of the Write. Reads are not kept: of more than one block they may see a part of the Write. A write waits for one
// pair at most: what a gate kept is with the disk before it can close again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "target/core/limits.h"
#include "target/core/mailbox.h"

namespace nvmf::core {

class FusedTurns;
struct Request;

class WriteGate {
 public:
  // A change is about to be executed. True: it goes on, and leave() follows when the disk is done. False: it is kept,
  // and its executor runs again when the gate opens.
  bool enter(Request& request) {
    if (closed_) [[unlikely]] {
      keep(request);
      return false;
    }
    ++in_flight_;
    return true;
  }
  void leave() {
    --in_flight_;
    if (closed_ && in_flight_ == 0) [[unlikely]]
      answer();
  }
  // The request is kept no more, if it was.
  bool withdraw(Request& request);
  // Null: the namespace has no fused commands.
  FusedTurns* turns() const { return turns_; }

 private:
  friend class FusedTurns;
  void keep(Request& request);
  void answer();
  void close();
  void open();

  bool closed_ = false;
  uint32_t in_flight_ = 0;
  Request* first_kept_ = nullptr;  // linked through Request::next_waiter
  Request* last_kept_ = nullptr;
  FusedTurns* turns_ = nullptr;
  Mailbox* thread_ = nullptr;  // the gate's; null: the control thread itself
  Message message_;            // to the gate and back
};

// Of one namespace. Outlives its gates' reactors.
class FusedTurns {
 public:
  // `control`: the control thread's mailbox; null where all is on one thread.
  explicit FusedTurns(Mailbox* control) : control_(control) {}
  FusedTurns(const FusedTurns&) = delete;
  FusedTurns& operator=(const FusedTurns&) = delete;

  // Set-up.
  void add(WriteGate& gate, Mailbox* thread);

  // The pair's thread: `run` is called with its first half, on the same thread, when the pair's turn has come.
  void enter(Request& first, void (*run)(Request&));
  // The same thread: that pair is done.
  void leave();
  // Memory for the running pair's Compare to read into, so that it waits for no buffer.
  std::byte* scratch() { return scratch_.data(); }

 private:
  friend class WriteGate;
  enum class Phase : uint8_t { Idle, Closing, Running, Opening };
  void send(Mailbox* to, Message& message, void (*deliver)(Message&), void* context);
  void ask_gates(Phase phase);
  void queue(Request& first);
  void gate_answered();
  void done();

  Mailbox* control_;
  std::vector<WriteGate*> gates_;
  Phase phase_ = Phase::Idle;
  size_t unanswered_ = 0;             // gates, in Closing and Opening
  Request* first_waiting_ = nullptr;  // pairs, by their first half, linked through Request::next_waiter
  Request* last_waiting_ = nullptr;
  Message leave_message_;
  alignas(limits::kPageBytes) std::array<std::byte, limits::kMaxInCapsuleBytes> scratch_;
};

}  // namespace nvmf::core
