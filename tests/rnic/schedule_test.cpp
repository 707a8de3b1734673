#include "tests/rnic/schedule.h"

#include <doctest/doctest.h>

#include <string>

namespace nvmf::rnic {
namespace {

std::string order_of(uint64_t seed) {
  Schedule schedule(seed);
  Life life;
  std::string order;
  for (char name = 'a'; name <= 'z'; ++name)
    schedule.after(schedule.delay_ns(1000), life, [&order, name] { order += name; });
  while (schedule.step()) {
  }
  return order;
}

TEST_CASE("the same seed gives the same order, another seed another") {
  CHECK(order_of(7) == order_of(7));
  CHECK(order_of(7) != order_of(8));
  CHECK(order_of(7).size() == 26);
}

TEST_CASE("what was scheduled for somebody who is gone does not happen") {
  Schedule schedule(1);
  int happened = 0;
  Life lives;
  {
    Life dies;
    schedule.after(10, dies, [&] { happened += 1; });
  }
  schedule.after(10, lives, [&] { happened += 10; });
  schedule.advance(10);
  CHECK(happened == 10);
}

TEST_CASE("the clock moves to what happens, and not beyond what it is advanced by") {
  Schedule schedule(1);
  Life life;
  const uint64_t start = schedule.now_ns();
  uint64_t seen = 0;
  schedule.after(500, life, [&] { seen = schedule.now_ns(); });
  schedule.after(2000, life, [&] { seen = 0; });
  schedule.advance(1000);
  CHECK(seen == start + 500);
  CHECK(schedule.now_ns() == start + 1000);
  CHECK(schedule.next_ns() == start + 2000);
}

}  // namespace
}  // namespace nvmf::rnic
