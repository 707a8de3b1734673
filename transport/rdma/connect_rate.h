// How fast hosts may make new controllers: a token bucket for all hosts and one for each host address, as deep as one
// second gives. What is over it is refused, so that many hosts that come back at once are served one after the other.
// Only connections of admin queues cost a token: a host that was let in gets its I/O queues. Control thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace nvmf::rdma {

class ConnectRate {
 public:
  using Clock = std::chrono::steady_clock;

  struct Limits {
    uint32_t per_s = 0;  // 0: no limit
    uint32_t per_s_of_address = 0;
  };
  enum class Verdict : uint8_t { Admitted, TooManyOfAddress, TooMany };

  // A refusal is told at once, those of this long after it together with the next one then.
  static constexpr std::chrono::seconds kReportPeriod{10};

  // From now on; what has been used stays used.
  void set(const Limits& limits) { limits_ = limits; }

  Verdict admit(const std::string& address, Clock::time_point now);

  uint64_t refused() const { return refused_; }
  // After a refusal: how many to tell of in a line; none while the last line is fresh.
  std::optional<uint64_t> report(Clock::time_point now);

 private:
  using Buckets = std::unordered_map<std::string, Clock::time_point>;

  void forget_full_buckets(Clock::time_point now);

  Limits limits_;
  // When each bucket is full again.
  Clock::time_point full_at_;
  Buckets full_at_by_address_;
  Clock::time_point forgotten_at_;
  uint64_t refused_ = 0;
  uint64_t reported_ = 0;
  std::optional<Clock::time_point> reported_at_;
};

}  // namespace nvmf::rdma
