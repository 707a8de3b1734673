// How long a reactor goes on polling after its last work before it sleeps: between 0 and a maximum, adapted to how
// useful polling was recently. One thread, except polled_in_vain_us().
#pragma once

#include <cstdint>

#include "target/core/reactor/counter.h"

namespace nvmf::core {

class PollBudget {
 public:
  using NowUs = uint64_t (*)();  // a clock that never goes back
  static uint64_t steady_now_us();

  // With 0 it is always time to sleep, and the clock is never read.
  explicit PollBudget(uint32_t max_us, NowUs now_us = steady_now_us) : max_us_(max_us), now_us_(now_us) {}

  // After a turn with work.
  void worked() { idle_turns_ = 0; }
  // After a turn without work: true when it is time to sleep. Reads the clock in few turns only.
  bool used_up();

  // Around each sleep. A sleep that polling within the maximum would have avoided raises the budget; a longer one,
  // before which polling was useless, lowers it.
  void falling_asleep();
  void woke();

  uint32_t budget_us() const { return budget_us_; }
  // The total time between turns that found no work. Any thread.
  uint64_t polled_in_vain_us() const { return polled_in_vain_us_.get(); }

 private:
  static constexpr uint32_t kTurnsPerLook = 8;
  static constexpr uint32_t kSmallestBudgetUs = 4;

  uint32_t max_us_;
  NowUs now_us_;
  uint32_t budget_us_ = 0;
  uint32_t idle_turns_ = 0;
  uint64_t idle_since_us_ = 0;
  uint64_t last_look_us_ = 0;
  uint64_t asleep_since_us_ = 0;
  Counter polled_in_vain_us_;
};

}  // namespace nvmf::core
