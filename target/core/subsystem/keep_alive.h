// Keep Alive Timer of one controller: NVMe Base 2.0, section 3.9. Control thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace nvmf::core {

class KeepAlive {
 public:
  using Clock = std::chrono::steady_clock;

  // A discovery controller whose host asked for no timer lives this long without a command (section 3.1.2.3.5).
  static constexpr uint32_t kDiscoveryActivityTimeoutMs = 120'000;

  // `activity_timeout_ms`: how long without a command when the host asks for no timer; 0: for ever.
  explicit KeepAlive(uint32_t activity_timeout_ms) : activity_timeout_ms_(activity_timeout_ms) {}

  // KATO, rounded up to the granularity; 0 turns the timer off.
  void set_timeout(uint32_t kato_ms, Clock::time_point now);
  uint32_t timeout_ms() const { return timeout_ms_; }
  // The timer's period: KATO or the activity timeout; 0 while it is off.
  uint32_t timer_ms() const { return timeout_ms_ != 0 ? timeout_ms_ : activity_timeout_ms_; }
  void restart(Clock::time_point now);
  // The timer has expired, and does not run again.
  void stop() { deadline_.reset(); }
  // Three quarters of the time that the host asked for have passed since the timer was started: hosts send Keep Alive
  // every half of it. Never when the host asked for no timer.
  bool is_overdue(Clock::time_point now) const;
  // None while the timer is off.
  std::optional<Clock::time_point> deadline() const { return deadline_; }

 private:
  uint32_t activity_timeout_ms_;
  uint32_t timeout_ms_ = 0;
  std::optional<Clock::time_point> deadline_;
};

}  // namespace nvmf::core
