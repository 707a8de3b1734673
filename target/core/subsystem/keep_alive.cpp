#include "target/core/subsystem/keep_alive.h"

#include "target/core/datapath/limits.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kLargestTimeoutMs = UINT32_MAX / limits::kKeepAliveGranularityMs * limits::kKeepAliveGranularityMs;

constexpr uint32_t round_up(uint32_t ms) {
  if (ms >= kLargestTimeoutMs) return kLargestTimeoutMs;
  return (ms + limits::kKeepAliveGranularityMs - 1) / limits::kKeepAliveGranularityMs * limits::kKeepAliveGranularityMs;
}

}  // namespace

void KeepAlive::set_timeout(uint32_t kato_ms, Clock::time_point now) {
  timeout_ms_ = round_up(kato_ms);
  restart(now);
}

// A command that the host sent just in time may still be on the wire: one granule of margin.
void KeepAlive::restart(Clock::time_point now) {
  if (timer_ms() == 0) return stop();
  deadline_ = now + std::chrono::milliseconds(uint64_t{timer_ms()} + limits::kKeepAliveGranularityMs);
}

bool KeepAlive::is_overdue(Clock::time_point now) const {
  if (timeout_ms_ == 0 || !deadline_) return false;
  const std::chrono::milliseconds last_quarter(timeout_ms_ / 4 + limits::kKeepAliveGranularityMs);
  return now >= *deadline_ - last_quarter;
}

}  // namespace nvmf::core
