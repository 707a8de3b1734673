// Readers and changes of a memory's extents.
#include "target/core/datapath/extent_claims.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

using nvmf::core::ExtentClaims;

namespace {
constexpr uint64_t kExtent = ExtentClaims::kExtentBytes;
}

TEST_CASE("readers share, and a change waits for all of them") {
  ExtentClaims claims(8 * kExtent);
  REQUIRE(claims.begin_read(0, 1));
  REQUIRE(claims.begin_read(kExtent - 1, 3 * kExtent));
  CHECK_FALSE(claims.begin_change(5));
  CHECK(claims.begin_change(3 * kExtent));
  claims.end_change(3 * kExtent);
  claims.end_read(0, 1);
  CHECK_FALSE(claims.begin_change(5));
  claims.end_read(kExtent - 1, 3 * kExtent);
  CHECK(claims.begin_change(5));
  claims.end_change(5);
}

TEST_CASE("a reader gets all of its extents or none") {
  ExtentClaims claims(8 * kExtent);
  REQUIRE(claims.begin_change(2 * kExtent));
  CHECK_FALSE(claims.begin_read(0, 4 * kExtent));
  for (const uint64_t extent : {0, 1, 3}) {
    REQUIRE(claims.begin_change(extent * kExtent));
    claims.end_change(extent * kExtent);
  }
  CHECK_FALSE_MESSAGE(claims.begin_change(2 * kExtent), "one change at a time");
  claims.end_change(2 * kExtent);
}

TEST_CASE("a change that waits keeps further readers out until it has had its turn") {
  ExtentClaims claims(8 * kExtent);
  REQUIRE(claims.begin_read(0, 512));
  CHECK_FALSE(claims.change_waits(0, kExtent));
  REQUIRE_FALSE(claims.begin_change(0));
  CHECK(claims.change_waits(0, 2 * kExtent));
  CHECK_FALSE(claims.change_waits(kExtent, 2 * kExtent));
  CHECK_FALSE(claims.begin_read(0, 512));
  claims.end_read(0, 512);
  CHECK_FALSE_MESSAGE(claims.begin_read(0, 512), "it comes after the change");
  REQUIRE(claims.begin_change(0));
  CHECK_FALSE(claims.change_waits(0, kExtent));
  claims.end_change(0);
  CHECK(claims.begin_read(0, 512));
  claims.end_read(0, 512);
}

TEST_CASE("a change that gives up lets readers in, and another one that waits says so again") {
  ExtentClaims claims(kExtent);
  REQUIRE(claims.begin_read(0, 512));
  REQUIRE_FALSE(claims.begin_change(0));
  REQUIRE_FALSE(claims.begin_read(0, 512));
  claims.withdraw_change(0);
  CHECK_FALSE(claims.change_waits(0, 512));
  CHECK(claims.begin_read(0, 512));
  claims.end_read(0, 512);
  REQUIRE_FALSE(claims.begin_change(0));
  CHECK(claims.change_waits(0, 512));
  claims.end_read(0, 512);
  REQUIRE(claims.begin_change(0));
  claims.withdraw_change(0);
  CHECK_FALSE_MESSAGE(claims.begin_read(0, 512), "the change goes on");
  claims.end_change(0);
}

TEST_CASE("a memory of one block has an extent, and a long one has words for all") {
  ExtentClaims small(512);
  REQUIRE(small.begin_read(0, 512));
  small.end_read(0, 512);
  ExtentClaims large(uint64_t{1} << 50);
  const uint64_t last = (uint64_t{1} << 50) - 512;
  REQUIRE(large.begin_read(last, last + 512));
  CHECK_FALSE(large.begin_change(last));
  large.end_read(last, last + 512);
  REQUIRE(large.begin_change(last));
  large.end_change(last);
}

TEST_CASE("threads that read and change the same blocks never see half of a change") {
  constexpr size_t kWords = 512;
  constexpr int kRounds = 20'000;
  static std::array<uint32_t, kWords> memory;
  memory.fill(0);
  ExtentClaims claims(sizeof memory);
  std::atomic<int> torn = 0;
  const auto change = [&](uint32_t first) {
    for (uint32_t round = 0; round < kRounds;) {
      if (!claims.begin_change(0)) {
        std::this_thread::yield();
        continue;
      }
      memory.fill(first + round++);
      claims.end_change(0);
    }
  };
  const auto read = [&] {
    std::array<uint32_t, kWords> seen{};
    for (int round = 0; round < kRounds;) {
      if (!claims.begin_read(0, sizeof memory)) {
        std::this_thread::yield();
        continue;
      }
      std::memcpy(seen.data(), memory.data(), sizeof memory);
      claims.end_read(0, sizeof memory);
      ++round;
      if (seen.front() != seen.back()) ++torn;
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(change, 0);
  threads.emplace_back(change, 1'000'000);
  threads.emplace_back(read);
  threads.emplace_back(read);
  for (std::thread& one : threads) one.join();
  CHECK(torn == 0);
}
