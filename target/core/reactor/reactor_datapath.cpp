// HOT PATH. A reactor's loop.
#include <algorithm>

#include "target/core/reactor/clock.h"
#include "target/core/reactor/reactor.h"

namespace nvmf::core {
namespace {

// More of them at a time, and the queues would wait.
constexpr unsigned kMessagesPerTurn = 16;

void increment(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void Reactor::run() {
  while (!stopping_) {
    if (turn() != 0)
      budget_.worked();
    else if (budget_.used_up())
      sleep();
  }
}

unsigned Reactor::turn() {
  increment(turns_);
  unsigned work = gather();
  // When polling was not useful and work came in single bursts, one call both submits this turn's commands and sleeps
  // until the next event.
  if (work != 0 && work_is_followed_by_idleness_ && budget_.budget_us() == 0 && !stopping_) {
    flush();
    if (sleep()) return work;
    work_is_followed_by_idleness_ = false;
  } else if (worked_last_turn_) {
    work_is_followed_by_idleness_ = work == 0;
  }
  work += engine_.poll();
  flush();
  worked_last_turn_ = work != 0;
  return work;
}

// By index: a poller may deliver messages while it looks for work, and these add and remove pollers.
unsigned Reactor::gather() {
  unsigned work = mailbox_.receive(kMessagesPerTurn);
  for (size_t i = 0; i < pollers_.size(); ++i) work += pollers_[i]->poll();
  return work;
}

void Reactor::flush() {
  for (Poller* poller : pollers_) poller->flush();
}

bool Reactor::arm() {
  for (size_t i = 0; i < pollers_.size(); ++i)
    if (!pollers_[i]->arm()) return false;
  return true;
}

// True when it slept; false when an event occurred just before.
bool Reactor::sleep() {
  const bool nothing_came = mailbox_.prepare_sleep() && arm();
  if (nothing_came) {
    increment(sleeps_);
    budget_.falling_asleep();
    engine_.sleep(sleep_limit_us());
    budget_.woke();
  }
  mailbox_.awake();
  return nothing_came;
}

// Until the first poller is due; none: only events wake it.
std::optional<uint32_t> Reactor::sleep_limit_us() const {
  constexpr uint64_t kMostUs = 1'000'000;
  uint64_t due_ns = Poller::kNever;
  for (const Poller* poller : pollers_) due_ns = std::min(due_ns, poller->due_ns());
  if (due_ns == Poller::kNever) return std::nullopt;
  const uint64_t now_ns = steady_ns();
  return due_ns <= now_ns ? 0 : static_cast<uint32_t>(std::min(kMostUs, (due_ns - now_ns) / 1000 + 1));
}

}  // namespace nvmf::core
