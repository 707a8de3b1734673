#include "target/daemon/history.h"

#include <algorithm>
#include <utility>

#include "target/daemon/slices.h"

namespace nvmf::daemon {
namespace {

constexpr auto kRead = static_cast<size_t>(core::Operation::Read);
constexpr auto kWrite = static_cast<size_t>(core::Operation::Write);

using core::LatencyHistogram;
using Counts = std::array<uint64_t, LatencyHistogram::kBuckets>;

// The bound that the fraction `part` of `all` commands did not exceed, interpolated within its bucket.
uint64_t quantile_ns(const Counts& counts, uint64_t all, double part) {
  const double wanted = part * static_cast<double>(all);
  double before = 0;
  uint64_t lower_ns = 0;
  for (size_t bucket = 0; bucket + 1 < counts.size(); ++bucket) {
    const auto here = static_cast<double>(counts[bucket]);
    const uint64_t upper_ns = LatencyHistogram::bound_ns(bucket);
    if (here != 0 && before + here >= wanted)
      return lower_ns + static_cast<uint64_t>((wanted - before) / here * static_cast<double>(upper_ns - lower_ns));
    before += here;
    lower_ns = upper_ns;
  }
  return lower_ns;
}

History::Latency between(const LatencyHistogram& before, const LatencyHistogram& now) {
  Counts counts{};
  uint64_t all = 0;
  for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
    counts[bucket] = now.in_bucket(bucket) - std::min(now.in_bucket(bucket), before.in_bucket(bucket));
    all += counts[bucket];
  }
  if (all == 0) return {};
  return {.p50_ns = quantile_ns(counts, all, 0.5),
          .p99_ns = quantile_ns(counts, all, 0.99),
          .p999_ns = quantile_ns(counts, all, 0.999)};
}

}  // namespace

void History::add(Clock::time_point now, std::unique_ptr<const Totals> totals) {
  const double seconds = std::chrono::duration<double>(now - time_).count();
  if (totals_ && seconds > 0) {
    Point point{.reads = between(totals_->reads, totals->reads), .writes = between(totals_->writes, totals->writes)};
    for (size_t path = 0; path < core::kDataPaths; ++path)
      if (totals->bytes[path] > totals_->bytes[path])
        point.bytes_per_s[path] =
            static_cast<uint64_t>(static_cast<double>(totals->bytes[path] - totals_->bytes[path]) / seconds);
    points_.push_back(point);
    if (points_.size() > kPoints) points_.pop_front();
  }
  time_ = now;
  totals_ = std::move(totals);
}

boost::asio::awaitable<std::unique_ptr<const History::Totals>> totals_of(std::vector<NamespaceSource> namespaces) {
  auto totals = std::make_unique<History::Totals>();
  const auto add = [&](size_t i) {
    const auto space = namespaces[i]();
    if (!space) return;
    totals->reads.merge(space->counters->latency.target[kRead]);
    totals->writes.merge(space->counters->latency.target[kWrite]);
    for (size_t path = 0; path < core::kDataPaths; ++path)
      totals->bytes[path] += space->counters->reads[path].bytes.get() + space->counters->writes[path].bytes.get();
  };
  co_await in_slices(namespaces.size(), add);
  co_return totals;
}

}  // namespace nvmf::daemon
