// What the page shows of the last ten minutes.
#include "target/daemon/history.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "target/daemon/slices.h"

namespace nvmf::daemon {
namespace {

using std::chrono::seconds;

constexpr auto kCmb = static_cast<size_t>(core::DataPath::Cmb);
constexpr auto kRead = static_cast<size_t>(core::Operation::Read);
const History::Clock::time_point kStart{std::chrono::hours(1)};

// Since the start: `reads` of 1 MiB each through the CMB, each of which took `ns`.
std::unique_ptr<History::Totals> totals(int reads, uint64_t ns = 100'000) {
  auto all = std::make_unique<History::Totals>();
  for (int i = 0; i < reads; ++i) all->reads.add(ns);
  all->bytes[kCmb] = static_cast<uint64_t>(reads) << 20;
  return all;
}

TEST_CASE("A point is what was counted since the point before, not since the start") {
  History history;
  history.add(kStart, totals(1000));
  CHECK(history.points().empty());
  auto later = totals(1000);
  for (int i = 0; i < 10; ++i) later->reads.add(4'000'000);
  later->bytes[kCmb] += 10U << 20U;
  history.add(kStart + seconds(5), std::move(later));
  REQUIRE(history.points().size() == 1);
  const History::Point& point = history.points().front();
  CHECK(point.bytes_per_s[kCmb] == 2U << 20U);
  REQUIRE(point.reads.p50_ns);
  CHECK(*point.reads.p50_ns > 3'000'000);
  CHECK(*point.reads.p999_ns < 5'000'000);
  CHECK_FALSE(point.writes.p50_ns);
}

TEST_CASE("An interval without commands has no percentiles") {
  History history;
  history.add(kStart, totals(3));
  history.add(kStart + seconds(5), totals(3));
  CHECK_FALSE(history.points().front().reads.p50_ns);
  CHECK(history.points().front().bytes_per_s[kCmb] == 0);
}

TEST_CASE("A namespace is removed with its counts: the point has nothing less than nothing") {
  History history;
  history.add(kStart, totals(1000));
  history.add(kStart + seconds(5), totals(4));
  CHECK_FALSE(history.points().front().reads.p50_ns);
  CHECK(history.points().front().bytes_per_s[kCmb] == 0);
  history.add(kStart + seconds(10), totals(9));
  CHECK(history.points().back().bytes_per_s[kCmb] == 1U << 20U);
  CHECK(history.points().back().reads.p50_ns);
}

TEST_CASE("Two looks at the same moment are no interval") {
  History history;
  history.add(kStart, totals(1));
  history.add(kStart, totals(2));
  CHECK(history.points().empty());
}

TEST_CASE("Ten minutes are kept, and no more") {
  History history;
  for (size_t i = 0; i < History::kPoints + 7; ++i)
    history.add(kStart + History::kInterval * static_cast<int>(i), totals(static_cast<int>(i)));
  CHECK(history.points().size() == History::kPoints);
  CHECK(History::kInterval * static_cast<int>(History::kPoints) == std::chrono::minutes(10));
}

TEST_CASE("All namespaces are added up, those that have gone meanwhile left out; other work has its turn") {
  core::IoCounters counters;
  counters.reads[kCmb].bytes.add(4096);
  counters.writes[kCmb].bytes.add(512);
  counters.latency.target[kRead].add(10'000);
  constexpr size_t kNamespaces = 8;
  History::Clock::time_point now{};
  std::vector<NamespaceSource> sources(kNamespaces, [&] {
    now += Slices::kTime;
    NamespaceFigures space;
    space.counters = std::make_unique<core::IoCounters>();
    core::add(*space.counters, counters);
    return std::optional(std::move(space));
  });
  sources.emplace_back([] { return std::nullopt; });
  boost::asio::io_context io;
  auto answer = boost::asio::co_spawn(io, totals_of(std::move(sources), [&] { return now; }), boost::asio::use_future);
  CHECK(io.run() >= kNamespaces);
  const auto all = answer.get();
  CHECK(all->reads.count() == kNamespaces);
  CHECK(all->writes.count() == 0);
  CHECK(all->bytes[kCmb] == kNamespaces * (4096 + 512));
}

}  // namespace
}  // namespace nvmf::daemon
