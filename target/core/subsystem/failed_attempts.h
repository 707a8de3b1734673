// How often hosts of an address have failed to authenticate lately. Each failure counts for kForgetAfter; the more
// count at a time, the longer the next failure's answer is delayed, and at kMost the address is refused until one is
// forgotten: an honest host gets in again by itself.
//
// Attempts that have come to nothing count as a quarter. Honest hosts have them, too: each lost path ends the one
// authentication that a controller has under way, of each subsystem that the host uses, and a host that reconnects to a
// target that does not suit it does so every few seconds. One such attempt in 1.25 s never leads to a refusal, nor do
// 36 at once. Control thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace nvmf::core {

class FailedAttempts {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::seconds kForgetAfter{5};
  static constexpr std::chrono::milliseconds kForgetQuarterAfter{1250};
  static constexpr unsigned kMost = 10;
  static constexpr std::chrono::milliseconds kFirstDelay{100};  // of the second failure; doubled with each
  static constexpr std::chrono::milliseconds kLongestDelay{2000};
  static constexpr size_t kMostAddresses = 4096;

  // Counts a failure; returns for how long its answer is to be delayed.
  std::chrono::milliseconds add(const std::string& address, Clock::time_point now) {
    return add(address, now, kForgetAfter);
  }
  // Counts a quarter of one.
  std::chrono::milliseconds add_quarter(const std::string& address, Clock::time_point now) {
    return add(address, now, kForgetQuarterAfter);
  }
  bool is_refused(const std::string& address, Clock::time_point now) const;
  // Addresses that are refused now.
  size_t refused(Clock::time_point now) const;

 private:
  std::chrono::milliseconds add(const std::string& address, Clock::time_point now,
                                std::chrono::milliseconds remembered);
  unsigned count(const std::string& address, Clock::time_point now) const;
  void make_room(Clock::time_point now);

  std::unordered_map<std::string, Clock::time_point> forgotten_at_;  // when the last of its failures is forgotten
};

}  // namespace nvmf::core
