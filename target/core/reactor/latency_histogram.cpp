#include "target/core/reactor/latency_histogram.h"

#include <algorithm>

namespace nvmf::core {

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) buckets_[bucket].add(other.buckets_[bucket].get());
  sum_ns_.add(other.sum_ns_.get());
}

void LatencyHistogram::merge_since(const LatencyHistogram& before, const LatencyHistogram& now) {
  const auto more = [](uint64_t former, uint64_t latter) { return latter - std::min(latter, former); };
  for (size_t bucket = 0; bucket < kBuckets; ++bucket)
    buckets_[bucket].add(more(before.in_bucket(bucket), now.in_bucket(bucket)));
  sum_ns_.add(more(before.sum_ns(), now.sum_ns()));
}

uint64_t LatencyHistogram::count() const {
  uint64_t total = 0;
  for (const Counter& bucket : buckets_) total += bucket.get();
  return total;
}

uint64_t LatencyHistogram::quantile_ns(double part) const {
  const double wanted = part * static_cast<double>(count());
  double before = 0;
  uint64_t lower_ns = 0;
  for (size_t bucket = 0; bucket < kBuckets - 1; ++bucket) {
    const auto here = static_cast<double>(in_bucket(bucket));
    const uint64_t upper_ns = bound_ns(bucket);
    if (here != 0 && before + here >= wanted) {
      const double share = (wanted - before) / here;
      return lower_ns + static_cast<uint64_t>(share * static_cast<double>(upper_ns - lower_ns));
    }
    before += here;
    lower_ns = upper_ns;
  }
  return in_bucket(kBuckets - 1) == 0 ? 0 : lower_ns;
}

}  // namespace nvmf::core
