// Limits of a namespace: commands and bytes per second, of all hosts, queues and reactors together.
//
// RateLimit is shared by the reactors. It books commands: each quantity has a clock that says when the next command may
// start, and each command advances the clock by its share of a second. A clock that is behind by more than kBurstNs is
// set forward: commands may catch up that much after a pause, and no reactor loses by waking late. No lock: one
// compare-and-swap.
//
// Throttle belongs to one view (IoNamespace), on the view's thread. Commands that may not start yet wait, hosts in
// turn; the first one is booked and has its time. Reactors compete by booking one command at a time each. A command
// waits before it takes a buffer, and the reactor sleeps until the first command is due.
#pragma once

#include <atomic>
#include <cstdint>

#include "target/core/datapath/waiting_requests.h"
#include "target/core/reactor/clock.h"

namespace nvmf::core {

class RateLimit {
 public:
  static constexpr uint64_t kBurstNs = 10'000'000;

  // 0: no limit of this quantity.
  RateLimit(uint64_t commands_per_s, uint64_t bytes_per_s)
      : commands_per_s_(commands_per_s), bytes_per_s_(bytes_per_s) {}
  RateLimit(const RateLimit&) = delete;
  RateLimit& operator=(const RateLimit&) = delete;

  // Control thread: from now on; commands that are booked stay booked.
  void set(uint64_t commands_per_s, uint64_t bytes_per_s) {
    commands_per_s_.store(commands_per_s, std::memory_order_relaxed);
    bytes_per_s_.store(bytes_per_s, std::memory_order_relaxed);
  }
  // Any thread. Books commands and bytes; returns when they may run, in nanoseconds of the steady clock.
  uint64_t book(uint64_t commands, uint64_t bytes, uint64_t now_ns);

 private:
  static uint64_t set_on(std::atomic<uint64_t>& clock_ns, uint64_t cost_ns, uint64_t now_ns);

  std::atomic<uint64_t> commands_per_s_;
  std::atomic<uint64_t> bytes_per_s_;
  std::atomic<uint64_t> commands_clock_ns_{0};
  std::atomic<uint64_t> bytes_clock_ns_{0};
};

class Throttle {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;

  explicit Throttle(RateLimit& limit) : limit_(limit) {}

  // Whether the command may run now. If not, it waits until take_due() returns it.
  bool admit(Request& request, uint64_t now_ns);
  // The next command whose time has come; null when there is none.
  Request* take_due(uint64_t now_ns);
  uint64_t due_ns() const { return waiting_.first() == nullptr ? kNever : due_ns_; }
  // Its namespace is being removed: what waits may run at once, and so may what was on its way. Nothing is booked.
  void lift() {
    lifted_ = true;
    due_ns_ = 0;
  }
  // The next command gets the time that was booked for it, if it was the first.
  bool remove(Request& request) { return waiting_.remove(request); }
  // Bytes that became known after admit().
  void charge(uint64_t bytes) { limit_.book(0, bytes, steady_ns()); }

 private:
  uint64_t book(const Request& request, uint64_t now_ns);

  RateLimit& limit_;
  WaitingRequests waiting_;
  uint64_t due_ns_ = 0;  // of the first waiting command
  bool lifted_ = false;
};

}  // namespace nvmf::core
