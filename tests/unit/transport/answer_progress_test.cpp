#include "transport/rdma/answer_progress.h"

#include <doctest/doctest.h>

using nvmf::rdma::AnswerProgress;
using Verdict = AnswerProgress::Verdict;

namespace {

constexpr uint32_t kStalled = 10, kSlow = 30;

struct Host {
  AnswerProgress progress;
  uint32_t taken = 0;
  uint32_t posted = 0;
  Verdict verdict = Verdict::Good;  // of the last look
  bool look() {
    verdict = progress.look(taken, posted, kStalled, kSlow);
    return verdict != Verdict::Good;
  }
  // At which look it is found to have stalled; 0: in none of them.
  int stalls_within(int looks) {
    for (int i = 1; i <= looks; ++i)
      if (look()) return i;
    return 0;
  }
};

}  // namespace

TEST_CASE("A host to which nothing is sent has not stalled, however long") {
  Host host;
  CHECK(host.stalls_within(1000) == 0);
}

TEST_CASE("A host that takes nothing of what is posted has stalled after so many looks") {
  Host host;
  host.posted = 5;
  CHECK(host.stalls_within(100) == kStalled + 1);
  CHECK(host.verdict == Verdict::Stalled);
}

TEST_CASE("A host is given the whole time for the first answer after a pause") {
  Host host;
  host.posted = 1;
  CHECK(host.stalls_within(kStalled) == 0);
  host.posted = 0;
  host.taken = 1;
  CHECK_FALSE(host.look());
  host.posted = 1;
  CHECK(host.stalls_within(100) == kStalled + 1);
}

TEST_CASE("A host that takes everything, if late each time, has not stalled") {
  Host host;
  host.posted = 8;
  for (int i = 0; i < 100; ++i) {
    CHECK(host.stalls_within(kStalled) == 0);
    host.taken += 8;
  }
}

TEST_CASE("A host that takes an answer now and then, while others wait ever longer, is too slow") {
  Host host;
  host.posted = 64;
  uint32_t looks = 0;
  bool stalled = false;
  while (!stalled && looks < 1000) {
    if (looks % 9 == 8) ++host.taken;  // and one more is posted
    stalled = host.look();
    ++looks;
  }
  CHECK(stalled);
  CHECK(host.verdict == Verdict::Slow);
  CHECK(looks >= kSlow);
  CHECK(looks <= 2 * kSlow);
}

TEST_CASE("The count of what was taken may wrap") {
  Host host;
  host.taken = UINT32_MAX - 3;
  host.posted = 8;
  for (int i = 0; i < 20; ++i) {
    CHECK(host.stalls_within(5) == 0);
    host.taken += 4;
  }
}
