// Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
#include "target/daemon/exposition.h"

#include <doctest/doctest.h>

namespace nvmf::daemon {
namespace {

TEST_CASE("A family has its help, its type and its samples") {
  Exposition out;
  out.counter("nvmf_things_total", "Things.");
  out.sample({}, 18446744073709551615u);
  out.sample({{"subsystem", "nqn.x:a"}, {"nsid", "1"}}, 7);
  CHECK(out.text() ==
        "# HELP nvmf_things_total Things.\n# TYPE nvmf_things_total counter\nnvmf_things_total 18446744073709551615\n"
        "nvmf_things_total{subsystem=\"nqn.x:a\",nsid=\"1\"} 7\n");
}

TEST_CASE("Seconds keep their nanoseconds") {
  Exposition out;
  out.gauge("nvmf_time_seconds", "Time.");
  out.seconds({}, 1'000'000'001);
  CHECK(out.text().ends_with("nvmf_time_seconds 1.000000001\n"));
}

TEST_CASE("Quotes and backslashes in a label are escaped, what hosts chose is made printable") {
  CHECK(Exposition::printable("nqn:\n\x7f\xc3\xa9.") == "nqn:????.");
  Exposition out;
  out.gauge("nvmf_x", "X.");
  out.sample({{"host", "a\"b\\c"}}, 1);
  CHECK(out.text().ends_with("nvmf_x{host=\"a\\\"b\\\\c\"} 1\n"));
}

TEST_CASE("A histogram's buckets add up") {
  core::LatencyHistogram latency;
  latency.add(1'000);
  latency.add(4'096);
  latency.add(4'097);
  latency.add(5'000'000'000);
  Exposition out;
  out.histogram("nvmf_x_seconds", "X.");
  out.sample({{"nsid", "1"}}, latency);
  const auto has = [&](const char* line) { return out.text().find(line) != std::string::npos; };
  CHECK(has("nvmf_x_seconds_bucket{nsid=\"1\",le=\"4.096e-06\"} 2\n"));
  CHECK(has("nvmf_x_seconds_bucket{nsid=\"1\",le=\"8.192e-06\"} 3\n"));
  CHECK(has("nvmf_x_seconds_bucket{nsid=\"1\",le=\"1.073741824\"} 3\n"));
  CHECK(has("nvmf_x_seconds_bucket{nsid=\"1\",le=\"+Inf\"} 4\n"));
  CHECK(has("nvmf_x_seconds_sum{nsid=\"1\"} 5.000009193\n"));
  CHECK(has("nvmf_x_seconds_count{nsid=\"1\"} 4\n"));
}

}  // namespace
}  // namespace nvmf::daemon
