// Limits on how fast hosts may create controllers.
#include "transport/rdma/connect_rate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace {

using nvmf::rdma::ConnectRate;
using Verdict = ConnectRate::Verdict;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ConnectRate::Clock::time_point kStart{std::chrono::hours(1)};

// How many of `count` connections may come at once.
int at_once(ConnectRate& rate, const std::string& address, int count, ConnectRate::Clock::time_point now) {
  int good = 0;
  for (int i = 0; i < count; ++i) {
    const ConnectRate::Admission admission = rate.admit(address, now);
    good += admission == Verdict::Admitted && admission.at <= now ? 1 : 0;
  }
  return good;
}

// How many of `count` are admitted, some of them later.
int admitted(ConnectRate& rate, const std::string& address, int count, ConnectRate::Clock::time_point now) {
  int good = 0;
  for (int i = 0; i < count; ++i) good += rate.admit(address, now) == Verdict::Admitted ? 1 : 0;
  return good;
}

}  // namespace

TEST_CASE("a host connects at once as often as it may in a second, then at that rate, and beyond 2 s not at all") {
  ConnectRate rate;
  rate.set({.per_s = 0, .per_s_of_address = 10});
  CHECK(at_once(rate, "192.0.2.7", 10, kStart) == 10);
  const ConnectRate::Admission next = rate.admit("192.0.2.7", kStart);
  CHECK(next == Verdict::Admitted);
  CHECK(next.at == kStart + milliseconds(100));
  CHECK(rate.admit("192.0.2.7", kStart).at == kStart + milliseconds(200));
  CHECK(admitted(rate, "192.0.2.7", 25, kStart) == 18);
  CHECK(rate.admit("192.0.2.7", kStart) == Verdict::TooManyOfAddress);
  CHECK(admitted(rate, "192.0.2.7", 25, kStart + milliseconds(99)) == 0);
  CHECK(admitted(rate, "192.0.2.7", 25, kStart + milliseconds(300)) == 3);
  CHECK(at_once(rate, "192.0.2.7", 25, kStart + seconds(60)) == 10);
}

TEST_CASE("a host that is too fast takes nothing from others; all together have their own rate") {
  ConnectRate rate;
  rate.set({.per_s = 5, .per_s_of_address = 2});
  CHECK(admitted(rate, "192.0.2.7", 100, kStart) == 6);
  CHECK(admitted(rate, "192.0.2.8", 100, kStart) == 6);
  CHECK(admitted(rate, "192.0.2.9", 100, kStart) == 3);
  CHECK(rate.admit("192.0.2.10", kStart) == Verdict::TooMany);
  CHECK(rate.refused() == 94 + 94 + 97 + 1);
}

TEST_CASE("the hosts of a storm come one after the other, at the rate of all together") {
  ConnectRate rate;
  rate.set({.per_s = 1000, .per_s_of_address = 100});
  for (int host = 0; host < 2000; ++host) {
    const ConnectRate::Admission admission = rate.admit("host " + std::to_string(host), kStart);
    REQUIRE(admission == Verdict::Admitted);
    CHECK(admission.at == kStart + milliseconds(std::max(0, host - 999)));
  }
}

TEST_CASE("without limits, and after they were lifted, every connection is let in at once") {
  ConnectRate rate;
  CHECK(at_once(rate, "192.0.2.7", 1000, kStart) == 1000);
  rate.set({.per_s = 1, .per_s_of_address = 1});
  CHECK(admitted(rate, "192.0.2.7", 1000, kStart) == 3);
  rate.set({});
  CHECK(at_once(rate, "192.0.2.7", 1000, kStart) == 1000);
}

TEST_CASE("refusals are told at once, then once in a period with their number") {
  ConnectRate rate;
  rate.set({.per_s = 1, .per_s_of_address = 0});
  REQUIRE(admitted(rate, "192.0.2.7", 3, kStart) == 3);
  REQUIRE(rate.admit("192.0.2.7", kStart) == Verdict::TooMany);
  CHECK(rate.report(kStart) == 1);
  for (int i = 0; i < 41; ++i) {
    REQUIRE(rate.admit("192.0.2.7", kStart) == Verdict::TooMany);
    CHECK_FALSE(rate.report(kStart + seconds(9)).has_value());
  }
  REQUIRE(rate.admit("192.0.2.7", kStart) == Verdict::TooMany);
  CHECK(rate.report(kStart + ConnectRate::kReportPeriod) == 42);
}

TEST_CASE(
    "the I/O queues of a controller come with its admin queue, those beyond them at the rate of new controllers") {
  ConnectRate rate;
  rate.set({.per_s = 0, .per_s_of_address = 2});
  REQUIRE(rate.admit("192.0.2.7", kStart, 8) == Verdict::Admitted);
  for (int i = 0; i < 8; ++i) CHECK(rate.admit_io_queue("192.0.2.7", kStart) == Verdict::Admitted);
  // Its second token, and those of the next 2 s.
  for (int i = 0; i < 5; ++i) CHECK(rate.admit_io_queue("192.0.2.7", kStart) == Verdict::Admitted);
  CHECK(rate.admit_io_queue("192.0.2.7", kStart) == Verdict::TooManyOfAddress);
  CHECK(rate.admit("192.0.2.7", kStart, 8) == Verdict::TooManyOfAddress);
}

TEST_CASE("two controllers of a host bring the I/O queues of both; those of another host are its own") {
  ConnectRate rate;
  rate.set({.per_s = 0, .per_s_of_address = 2});
  REQUIRE(rate.admit("192.0.2.7", kStart, 3) == Verdict::Admitted);
  REQUIRE(rate.admit("192.0.2.7", kStart, 3) == Verdict::Admitted);
  for (int i = 0; i < 6; ++i) CHECK(rate.admit_io_queue("192.0.2.7", kStart).at == kStart);
  CHECK(rate.admit_io_queue("192.0.2.7", kStart).at > kStart);
  CHECK(rate.admit_io_queue("192.0.2.8", kStart) == Verdict::Admitted);  // its own token
}

TEST_CASE("an allowance that has just run out does not count again with the next admin queue") {
  ConnectRate rate;
  rate.set({.per_s = 0, .per_s_of_address = 1});
  REQUIRE(rate.admit("192.0.2.7", kStart, 100) == Verdict::Admitted);
  const auto late = kStart + ConnectRate::kAllowanceLife + milliseconds(1);
  // What is old is forgotten once a second: the allowance was not yet.
  REQUIRE(rate.admit("192.0.2.8", late - milliseconds(500)) == Verdict::Admitted);
  REQUIRE(rate.admit("192.0.2.7", late, 3) == Verdict::Admitted);
  for (int i = 0; i < 3; ++i) CHECK(rate.admit_io_queue("192.0.2.7", late).at == late);
  CHECK(rate.admit_io_queue("192.0.2.7", late).at > late);
}

TEST_CASE("I/O queues that do not come soon do not come with their admin queue any more") {
  ConnectRate rate;
  rate.set({.per_s = 0, .per_s_of_address = 1});
  REQUIRE(rate.admit("192.0.2.7", kStart, 100) == Verdict::Admitted);
  const auto late = kStart + ConnectRate::kAllowanceLife + milliseconds(1);
  CHECK(rate.admit_io_queue("192.0.2.7", late).at == late);
  CHECK(rate.admit_io_queue("192.0.2.7", late).at > late);
}
