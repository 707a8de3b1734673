// How often hosts of an address have failed to authenticate lately. Each failure counts for kForgetAfter; the more
// count at a time, the longer the next failure's answer is delayed, and at kMost the address is refused until one is
// forgotten: an honest host gets in again by itself. Control thread.
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
  static constexpr unsigned kMost = 10;
  static constexpr std::chrono::milliseconds kFirstDelay{100};  // of the second failure; doubled with each
  static constexpr std::chrono::milliseconds kLongestDelay{2000};
  static constexpr size_t kMostAddresses = 4096;

  // Counts a failure; returns for how long its answer is to be delayed.
  std::chrono::milliseconds add(const std::string& address, Clock::time_point now);
  bool is_refused(const std::string& address, Clock::time_point now) const;
  // Addresses that are refused now.
  size_t refused(Clock::time_point now) const;

 private:
  unsigned count(const std::string& address, Clock::time_point now) const;
  void make_room(Clock::time_point now);

  std::unordered_map<std::string, Clock::time_point> forgotten_at_;  // when the last of its failures is forgotten
};

}  // namespace nvmf::core
