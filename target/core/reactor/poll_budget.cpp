// HOT PATH: asked each turn without work.
#include "target/core/reactor/poll_budget.h"

#include <algorithm>
#include <chrono>

namespace nvmf::core {

uint64_t PollBudget::steady_now_us() {
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since_start).count());
}

bool PollBudget::used_up() {
  if (budget_us_ == 0) return true;
  if (idle_turns_++ % kTurnsPerLook != 0) return false;
  const uint64_t now = now_us_();
  if (idle_turns_ == 1)
    idle_since_us_ = now;
  else
    polled_in_vain_us_.add(now - last_look_us_);
  last_look_us_ = now;
  return now - idle_since_us_ >= budget_us_;
}

void PollBudget::falling_asleep() {
  if (max_us_ != 0) asleep_since_us_ = now_us_();
}

void PollBudget::woke() {
  idle_turns_ = 0;
  if (max_us_ == 0) return;
  const uint64_t idle_us = budget_us_ + (now_us_() - asleep_since_us_);
  if (idle_us <= max_us_)
    budget_us_ =
        static_cast<uint32_t>(std::clamp<uint64_t>(2 * idle_us, std::min(kSmallestBudgetUs, max_us_), max_us_));
  else
    budget_us_ = budget_us_ / 2 < kSmallestBudgetUs ? 0 : budget_us_ / 2;
}

}  // namespace nvmf::core
