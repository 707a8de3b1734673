#include "target/core/reactor/poll_budget.h"

#include <doctest/doctest.h>

using namespace nvmf::core;

namespace {

uint64_t now_us = 0;
unsigned looks = 0;
uint64_t look_at_clock() {
  ++looks;
  return now_us;
}

void sleep_for(PollBudget& budget, uint64_t us) {
  budget.falling_asleep();
  now_us += us;
  budget.woke();
}

// Idle turns of 1 us each until the budget is used up.
unsigned polls_in_vain(PollBudget& budget) {
  unsigned turns = 0;
  while (!budget.used_up()) {
    ++turns;
    ++now_us;
  }
  return turns;
}

}  // namespace

TEST_CASE("A reactor starts by sleeping at once") {
  PollBudget budget(50, look_at_clock);
  CHECK(budget.used_up());
}

TEST_CASE("Short sleeps make it poll, up to the maximum") {
  PollBudget budget(50, look_at_clock);
  sleep_for(budget, 10);
  CHECK(budget.budget_us() == 20);
  sleep_for(budget, 10);
  CHECK(budget.budget_us() == 50);
  CHECK(polls_in_vain(budget) >= 50);
  CHECK(polls_in_vain(budget) <= 60);
}

TEST_CASE("Work starts the budget anew") {
  PollBudget budget(50, look_at_clock);
  sleep_for(budget, 30);
  for (int turn = 0; turn < 40; ++turn, ++now_us) CHECK_FALSE(budget.used_up());
  budget.worked();
  for (int turn = 0; turn < 40; ++turn, ++now_us) CHECK_FALSE(budget.used_up());
}

TEST_CASE("After each sleep it may poll as long again, however long it polled before") {
  PollBudget budget(50, look_at_clock);
  sleep_for(budget, 40);
  for (int i = 0; i < 3; ++i) {
    CHECK(polls_in_vain(budget) >= 50);
    sleep_for(budget, 0);
    REQUIRE(budget.budget_us() == 50);
  }
}

TEST_CASE("Polling in vain makes it sleep at once again") {
  PollBudget budget(50, look_at_clock);
  sleep_for(budget, 30);
  REQUIRE(budget.budget_us() == 50);
  for (int i = 0; i < 4; ++i) {
    polls_in_vain(budget);
    sleep_for(budget, 1000);
  }
  CHECK(budget.budget_us() == 0);
}

TEST_CASE("The time of polling in vain adds up, sleeps and work left out") {
  PollBudget budget(50, look_at_clock);
  CHECK(budget.polled_in_vain_us() == 0);
  sleep_for(budget, 30);
  CHECK(budget.polled_in_vain_us() == 0);
  const unsigned turns = polls_in_vain(budget);
  CHECK(budget.polled_in_vain_us() == turns);
  now_us += 500;
  budget.worked();
  budget.used_up();
  CHECK(budget.polled_in_vain_us() == turns);
}

TEST_CASE("Without a budget the clock is never read, and otherwise seldom") {
  PollBudget none(0, look_at_clock);
  looks = 0;
  sleep_for(none, 1);
  CHECK(none.used_up());
  CHECK(looks == 0);

  PollBudget some(50, look_at_clock);
  sleep_for(some, 30);
  looks = 0;
  const unsigned turns = polls_in_vain(some);
  CHECK(looks <= turns / 8 + 2);
}
