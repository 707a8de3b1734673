#include "transport/rdma/answer_progress.h"

#include <doctest/doctest.h>

using nvmf::rdma::AnswerProgress;

namespace {

constexpr uint64_t kStalled = 10, kSlow = 30;

// A host that is looked at once in each unit of time.
struct Host {
  AnswerProgress progress;
  uint32_t taken = 0;
  uint32_t posted = 0;
  uint64_t now = 1'000'000;
  bool look() { return progress.has_stalled(taken, posted, now++, kStalled, kSlow); }
  // At which look it is found to have stalled, if within `looks`.
  int stalls_within(int looks) {
    for (int i = 0; i < looks; ++i)
      if (look()) return i;
    return -1;
  }
};

}  // namespace

TEST_CASE("A host to which nothing is sent has not stalled, however long") {
  Host host;
  CHECK(host.stalls_within(1000) == -1);
}

TEST_CASE("A host that takes nothing of what is posted has stalled after a while, counted from the first look at it") {
  Host host;
  host.look();
  host.posted = 5;
  CHECK(host.stalls_within(100) == kStalled - 1);
}

TEST_CASE("A host that takes everything, if late each time, has not stalled") {
  Host host;
  host.posted = 8;
  for (int i = 0; i < 100; ++i) {
    CHECK(host.stalls_within(9) == -1);
    host.taken += 8;
  }
}

TEST_CASE("A host that takes an answer now and then, while others wait ever longer, is too slow") {
  Host host;
  host.posted = 64;
  int looks = 0;
  bool stalled = false;
  while (!stalled && looks < 1000) {
    if (looks % 9 == 8) ++host.taken;  // and one more is posted
    stalled = host.look();
    ++looks;
  }
  CHECK(stalled);
  CHECK(looks >= static_cast<int>(kSlow));
  CHECK(looks <= static_cast<int>(2 * kSlow));
}

TEST_CASE("The count of what was taken may wrap") {
  Host host;
  host.taken = UINT32_MAX - 3;
  host.posted = 8;
  for (int i = 0; i < 20; ++i) {
    CHECK(host.stalls_within(5) == -1);
    host.taken += 4;
  }
}
