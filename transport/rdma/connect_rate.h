// How fast hosts may make new controllers: a token bucket for all hosts and one for each host address, as deep as one
// second gives. What is over it waits for its turn, so that many hosts that come back at once are served one after the
// other; what would wait longer than hosts are patient is refused.
// A connection of an admin queue costs a token, and brings an allowance for the I/O queues that come with it. An I/O
// queue beyond its address's allowance costs a token like an admin queue. Control thread only.
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
  struct Admission {
    Verdict verdict = Verdict::Admitted;
    Clock::time_point at{};  // of Admitted: when it may come, now or later
    friend bool operator==(const Admission& admission, Verdict other) { return admission.verdict == other; }
  };

  // Linux's host driver waits 3 s for the answer to its request.
  static constexpr std::chrono::milliseconds kMostDelay{2000};
  static constexpr size_t kMostWaiting = 4096;  // of all hosts

  // The first refusal is logged at once, those within this time after it together in one line.
  static constexpr std::chrono::seconds kReportPeriod{10};

  // Sets the limits from now on; used tokens stay used.
  void set(const Limits& limits) { limits_ = limits; }

  // I/O queues come soon after their admin queue, or not with it.
  static constexpr std::chrono::seconds kAllowanceLife{60};

  // An admin queue, whose controller may have so many I/O queues.
  Admission admit(const std::string& address, Clock::time_point now, uint32_t io_queues = 0);
  Admission admit_io_queue(const std::string& address, Clock::time_point now);

  // There is no room for one more that waits.
  Admission refuse() { return ++refused_, Admission{Verdict::TooMany, {}}; }

  uint64_t refused() const { return refused_; }
  // After a refusal: the number to log in a line; none while the last line is recent.
  std::optional<uint64_t> report(Clock::time_point now);

 private:
  using Buckets = std::unordered_map<std::string, Clock::time_point>;

  struct Allowance {
    uint32_t io_queues = 0;
    Clock::time_point until;
  };

  Admission take_token(const std::string& address, Clock::time_point now);
  void forget_old(Clock::time_point now);

  Limits limits_;
  // When each bucket is full again.
  Clock::time_point full_at_;
  Buckets full_at_by_address_;
  std::unordered_map<std::string, Allowance> allowances_;
  Clock::time_point forgotten_at_;
  uint64_t refused_ = 0;
  uint64_t reported_ = 0;
  std::optional<Clock::time_point> reported_at_;
};

}  // namespace nvmf::rdma
