#include "target/core/reactor/latency_histogram.h"

#include <doctest/doctest.h>

#include <memory>

using nvmf::core::LatencyHistogram;

namespace {

constexpr uint64_t kMicrosecond = 1000;
constexpr uint64_t kMillisecond = 1'000'000;

TEST_CASE("Every bucket takes what is longer than the bound of the one before, up to its own") {
  CHECK(LatencyHistogram::bucket_of(0) == 0);
  CHECK(LatencyHistogram::bucket_of(1) == 0);
  for (size_t bucket = 0; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
    CAPTURE(bucket);
    const uint64_t bound_ns = LatencyHistogram::bound_ns(bucket);
    CHECK(LatencyHistogram::bucket_of(bound_ns) == bucket);
    CHECK(LatencyHistogram::bucket_of(bound_ns + 1) == bucket + 1);
  }
  CHECK(LatencyHistogram::bound_ns(0) == 1024);
  CHECK(LatencyHistogram::bound_ns(LatencyHistogram::kBuckets - 2) == uint64_t{1} << 33);
  CHECK(LatencyHistogram::bucket_of(UINT64_MAX) == LatencyHistogram::kBuckets - 1);
}

TEST_CASE("A bucket is at most a quarter wide, so that a quantile is right within a quarter") {
  for (size_t bucket = 1; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
    const uint64_t lower_ns = LatencyHistogram::bound_ns(bucket - 1);
    CHECK((LatencyHistogram::bound_ns(bucket) - lower_ns) * 4 <= lower_ns);
  }
}

TEST_CASE("Quantiles of nothing are 0") {
  const LatencyHistogram latency;
  CHECK(latency.count() == 0);
  CHECK(latency.quantile_ns(0.99) == 0);
}

TEST_CASE("Quantiles of two humps lie in the humps") {
  LatencyHistogram latency;
  for (int i = 0; i < 900; ++i) latency.add(20 * kMicrosecond);
  for (int i = 0; i < 100; ++i) latency.add(3 * kMillisecond);
  CHECK(latency.count() == 1000);
  CHECK(latency.sum_ns() == 900 * (20 * kMicrosecond) + 100 * (3 * kMillisecond));
  for (const double part : {0.1, 0.5, 0.9}) {
    CHECK(latency.quantile_ns(part) >= 20 * kMicrosecond * 3 / 4);
    CHECK(latency.quantile_ns(part) <= 20 * kMicrosecond * 5 / 4);
  }
  for (const double part : {0.91, 0.99, 0.999, 1.0}) {
    CHECK(latency.quantile_ns(part) >= 3 * kMillisecond * 3 / 4);
    CHECK(latency.quantile_ns(part) <= 3 * kMillisecond * 5 / 4);
  }
}

TEST_CASE("What was counted since: the newer times only, and nothing where counts were taken away") {
  LatencyHistogram before;
  for (int i = 0; i < 10; ++i) before.add(20 * kMicrosecond);
  LatencyHistogram now;
  now.merge(before);
  for (int i = 0; i < 5; ++i) now.add(3 * kMillisecond);
  LatencyHistogram since;
  since.merge_since(before, now);
  CHECK(since.count() == 5);
  CHECK(since.sum_ns() == 5 * (3 * kMillisecond));
  CHECK(since.in_bucket(LatencyHistogram::bucket_of(20 * kMicrosecond)) == 0);

  LatencyHistogram nothing;
  nothing.merge_since(now, before);
  CHECK(nothing.count() == 0);
  CHECK(nothing.sum_ns() == 0);
}

TEST_CASE("What is beyond the last bound counts, and quantiles say at least that bound") {
  LatencyHistogram latency;
  latency.add(UINT64_MAX / 2);
  CHECK(latency.count() == 1);
  CHECK(latency.quantile_ns(0.5) == uint64_t{1} << 33);
}

TEST_CASE("Merged histograms say what one would that had seen all") {
  LatencyHistogram one;
  LatencyHistogram other;
  LatencyHistogram both;
  for (uint64_t ns = 1; ns < 10'000'000'000; ns = ns * 3 + 7) {
    (ns % 2 == 0 ? one : other).add(ns);
    both.add(ns);
  }
  one.merge(other);
  CHECK(one.count() == both.count());
  CHECK(one.sum_ns() == both.sum_ns());
  for (size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket)
    CHECK(one.in_bucket(bucket) == both.in_bucket(bucket));
  CHECK(one.quantile_ns(0.9) == both.quantile_ns(0.9));
}

}  // namespace
