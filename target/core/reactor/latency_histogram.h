// How long something took, counted in buckets: four to each power of two of nanoseconds, from 1 us to 8.6 s, so that a
// quantile is accurate within a quarter. One writer, a reactor; any thread may read, merge and ask for quantiles.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "target/core/reactor/counter.h"

namespace nvmf::core {

class LatencyHistogram {
 public:
  static constexpr unsigned kLeastBit = 10;  // 1,024 ns: shorter times share the first bucket
  static constexpr unsigned kMostBit = 33;   // 8.6 s: longer times share the last bucket
  static constexpr unsigned kBitsOfStep = 2;
  static constexpr size_t kBuckets = ((kMostBit - kLeastBit) << kBitsOfStep) + 2;

  // A time that is to be counted in several histograms.
  struct Sample {
    explicit Sample(uint64_t of_ns) : ns(of_ns), bucket(bucket_of(of_ns)) {}
    uint64_t ns;
    size_t bucket;
  };

  void add(const Sample& sample) {
    buckets_[sample.bucket].add(1);
    sum_ns_.add(sample.ns);
  }
  void add(uint64_t ns) { add(Sample(ns)); }
  void merge(const LatencyHistogram& other);
  // Merges what `now` counted since it was `before`. Where `before` counted more, as others took counts away, nothing.
  void merge_since(const LatencyHistogram& before, const LatencyHistogram& now);

  uint64_t count() const;
  uint64_t sum_ns() const { return sum_ns_.get(); }
  uint64_t in_bucket(size_t bucket) const { return buckets_[bucket].get(); }
  // The time that the fraction `part` (0 to 1) did not exceed, interpolated within its bucket; 0 when nothing was
  // counted.
  uint64_t quantile_ns(double part) const;

  // A bucket holds times above the bound of the bucket before and up to its own bound.
  static constexpr uint64_t bound_ns(size_t bucket) {
    if (bucket == kBuckets - 1) return UINT64_MAX;
    const size_t octave = bucket >> kBitsOfStep;
    const uint64_t steps = (1u << kBitsOfStep) + (bucket & ((1u << kBitsOfStep) - 1));
    return steps << (kLeastBit - kBitsOfStep + octave);
  }
  static constexpr size_t bucket_of(uint64_t ns) {
    const uint64_t below = ns - (ns != 0 ? 1 : 0);
    if (below < uint64_t{1} << kLeastBit) return 0;
    if (below >= uint64_t{1} << kMostBit) return kBuckets - 1;
    const auto bit = static_cast<unsigned>(std::bit_width(below)) - 1;
    const uint64_t step = (below >> (bit - kBitsOfStep)) & ((1u << kBitsOfStep) - 1);
    return ((bit - kLeastBit) << kBitsOfStep) + step + 1;
  }

 private:
  Counter sum_ns_;
  std::array<Counter, kBuckets> buckets_;
};

}  // namespace nvmf::core
