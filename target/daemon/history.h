// The last ten minutes of all namespaces together: latency and throughput of each interval. Control thread.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "target/core/datapath/io_counters.h"
#include "target/daemon/metrics.h"

namespace nvmf::daemon {

class History {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kInterval{5};
  static constexpr size_t kPoints = 120;

  // Since the start.
  struct Totals {
    core::LatencyHistogram reads;  // from the capsule's arrival to the answer
    core::LatencyHistogram writes;
    std::array<uint64_t, core::kDataPaths> bytes{};  // in both directions
  };
  // None: there was no command.
  struct Latency {
    std::optional<uint64_t> p50_ns{};
    std::optional<uint64_t> p99_ns{};
    std::optional<uint64_t> p999_ns{};
  };
  struct Point {
    Latency reads{};
    Latency writes{};
    std::array<uint64_t, core::kDataPaths> bytes_per_s{};
  };

  // What was counted since the former call is the next point; the oldest one goes. Namespaces that were removed take
  // their counts along: then the point has what is left.
  void add(Clock::time_point now, std::unique_ptr<const Totals> totals);
  // The oldest first.
  const std::deque<Point>& points() const { return points_; }

 private:
  Clock::time_point time_;
  std::unique_ptr<const Totals> totals_;
  std::deque<Point> points_;
};

// Adds up the namespaces, in slices (slices.h).
boost::asio::awaitable<std::unique_ptr<const History::Totals>> totals_of(
    std::vector<NamespaceSource> namespaces, SliceClock now = std::chrono::steady_clock::now);

}  // namespace nvmf::daemon
