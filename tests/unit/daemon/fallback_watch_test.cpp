// Which fallbacks are worth an event, and how often.
#include "target/daemon/fallback_watch.h"

#include <doctest/doctest.h>

namespace nvmf::daemon {
namespace {

using core::Fallback;
using namespace std::chrono_literals;

constexpr char kNqn[] = "nqn.2024-01.org.example:disks";

FallbackReports::Commands fell_back(Fallback reason, uint64_t commands) {
  FallbackReports::Commands all{};
  all[static_cast<size_t>(reason)] = commands;
  return all;
}

TEST_CASE("commands that fall back are told at once, and then every ten minutes with what came since") {
  FallbackReports reports;
  const FallbackReports::Clock::time_point now{};
  const auto told = [&](uint64_t commands, auto after) {
    reports.begin_look();
    const auto event = reports.report(kNqn, 3, fell_back(Fallback::PoolDry, commands), now + after);
    return event ? event->message : "";
  };
  CHECK(told(0, 0s).empty());
  CHECK(
      told(5, 10s).starts_with("namespace 3 of nqn.2024-01.org.example:disks: 5 commands went through DRAM instead of "
                               "the CMB: pool_dry 5; "));
  CHECK(told(9, 20s).empty());
  CHECK(told(9, 10s + FallbackReports::kPeriod).find(": 4 commands went") != std::string::npos);
  CHECK(told(9, 1h).empty());
}

TEST_CASE("transfers that the config sends through DRAM are no events") {
  FallbackReports reports;
  reports.begin_look();
  CHECK_FALSE(reports.report(kNqn, 1, fell_back(Fallback::BelowThreshold, 7), {}).has_value());
  CHECK_FALSE(reports.report(kNqn, 1, fell_back(Fallback::ProcessorNeeds, 7), {}).has_value());
  CHECK(reports.report(kNqn, 1, fell_back(Fallback::Alignment, 7), {}).has_value());
}

TEST_CASE("thousands of namespaces fall back: a few are told in each look, and none is forgotten") {
  FallbackReports reports;
  size_t told = 0;
  size_t looks = 0;
  for (; told < 100 && looks < 100; ++looks) {
    reports.begin_look();
    size_t now = 0;
    for (uint32_t nsid = 1; nsid <= 100; ++nsid)
      now += reports.report(kNqn, nsid, fell_back(Fallback::Refused, 1), {}).has_value() ? 1 : 0;
    CHECK(now <= FallbackReports::kMostAtATime);
    told += now;
  }
  CHECK(told == 100);
  CHECK(looks == (100 + FallbackReports::kMostAtATime - 1) / FallbackReports::kMostAtATime);
}

TEST_CASE("a namespace that was removed and comes back begins anew") {
  FallbackReports reports;
  const auto look = [&](bool is_there) {
    reports.begin_look();
    return is_there && reports.report(kNqn, 1, fell_back(Fallback::Refused, 1), {}).has_value();
  };
  CHECK(look(true));
  CHECK_FALSE(look(true));
  look(false);
  look(false);
  CHECK(look(true));
}

}  // namespace
}  // namespace nvmf::daemon
