#include "target/daemon/history.h"

#include <utility>

#include "target/daemon/slices.h"

namespace nvmf::daemon {
namespace {

constexpr auto kRead = static_cast<size_t>(core::Operation::Read);
constexpr auto kWrite = static_cast<size_t>(core::Operation::Write);

using core::LatencyHistogram;

History::Latency between(const LatencyHistogram& before, const LatencyHistogram& now) {
  LatencyHistogram latency;
  latency.merge_since(before, now);
  if (latency.count() == 0) return {};
  return {
      .p50_ns = latency.quantile_ns(0.5), .p99_ns = latency.quantile_ns(0.99), .p999_ns = latency.quantile_ns(0.999)};
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

boost::asio::awaitable<std::unique_ptr<const History::Totals>> totals_of(std::vector<NamespaceSource> namespaces,
                                                                         SliceClock now) {
  auto totals = std::make_unique<History::Totals>();
  const auto add = [&](size_t i) {
    const auto space = namespaces[i]();
    if (!space) return;
    totals->reads.merge(space->counters->latency.target[kRead]);
    totals->writes.merge(space->counters->latency.target[kWrite]);
    for (size_t path = 0; path < core::kDataPaths; ++path)
      totals->bytes[path] += space->counters->reads[path].bytes.get() + space->counters->writes[path].bytes.get();
  };
  co_await in_slices(namespaces.size(), add, std::move(now));
  co_return totals;
}

}  // namespace nvmf::daemon
