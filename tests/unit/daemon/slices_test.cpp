// How long the control thread works before other work has its turn, by a clock of the test.
#include "target/daemon/slices.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <vector>

namespace nvmf::daemon {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

// The time of each turn of the thread that visits of these lengths take.
std::vector<milliseconds> turns_of(const std::vector<milliseconds>& visits) {
  asio::io_context io;
  Time now{};
  size_t visited = 0;
  const auto visit = [&](size_t i) {
    CHECK(i == visited++);
    now += visits[i];
  };
  asio::co_spawn(io, in_slices(visits.size(), visit, [&] { return now; }), asio::detached);
  std::vector<milliseconds> turns;
  for (Time before = now; io.run_one() != 0; before = now)
    if (now != before) turns.push_back(std::chrono::duration_cast<milliseconds>(now - before));
  CHECK(visited == visits.size());
  return turns;
}

TEST_CASE("Short visits share a turn, until its time is over") {
  CHECK(turns_of(std::vector(20, milliseconds(1))) == std::vector(4, milliseconds(5)));
  CHECK(turns_of(std::vector(3, milliseconds(1))) == std::vector{milliseconds(3)});
  CHECK(turns_of({}).empty());
}

TEST_CASE("However long visits take, a turn is longer than its time by one of them at most") {
  std::vector<milliseconds> visits(40, milliseconds(1));
  for (const size_t slow : {3U, 4U, 20U}) visits[slow] = milliseconds(30);
  for (const milliseconds turn : turns_of(visits)) {
    CHECK(turn < Slices::kTime + milliseconds(30));
    CHECK(turn <= milliseconds(50));
  }
}

}  // namespace
}  // namespace nvmf::daemon
