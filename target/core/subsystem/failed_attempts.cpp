#include "target/core/subsystem/failed_attempts.h"

#include <algorithm>

namespace nvmf::core {
namespace {

unsigned failures_until(FailedAttempts::Clock::time_point forgotten_at, FailedAttempts::Clock::time_point now) {
  if (forgotten_at <= now) return 0;
  const auto periods = (forgotten_at - now + FailedAttempts::kForgetAfter - FailedAttempts::Clock::duration(1)) /
                       FailedAttempts::kForgetAfter;
  return static_cast<unsigned>(periods);
}

}  // namespace

std::chrono::milliseconds FailedAttempts::add(const std::string& address, Clock::time_point now,
                                              std::chrono::milliseconds remembered) {
  const unsigned before = count(address, now);
  if (before == 0) make_room(now);
  auto& forgotten_at = forgotten_at_[address];
  forgotten_at = std::min(std::max(forgotten_at, now) + remembered, now + kMost * kForgetAfter);
  if (before == 0) return std::chrono::milliseconds(0);
  return std::min(kFirstDelay * (1u << std::min(before - 1, 10u)), kLongestDelay);
}

bool FailedAttempts::is_refused(const std::string& address, Clock::time_point now) const {
  return count(address, now) >= kMost;
}

size_t FailedAttempts::refused(Clock::time_point now) const {
  return static_cast<size_t>(std::ranges::count_if(
      forgotten_at_, [now](const auto& entry) { return failures_until(entry.second, now) >= kMost; }));
}

unsigned FailedAttempts::count(const std::string& address, Clock::time_point now) const {
  const auto found = forgotten_at_.find(address);
  return found == forgotten_at_.end() ? 0 : failures_until(found->second, now);
}

// Whoever comes from so many addresses makes the target forget those that have failed least.
void FailedAttempts::make_room(Clock::time_point now) {
  if (forgotten_at_.size() < kMostAddresses) return;
  std::erase_if(forgotten_at_, [now](const auto& entry) { return entry.second <= now; });
  if (forgotten_at_.size() < kMostAddresses) return;
  forgotten_at_.erase(std::ranges::min_element(forgotten_at_, {}, [](const auto& entry) { return entry.second; }));
}

}  // namespace nvmf::core
