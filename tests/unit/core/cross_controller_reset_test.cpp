#include "target/core/subsystem/cross_controller_reset.h"

#include <doctest/doctest.h>

namespace nvmf::core {
namespace {

constexpr ControllerInstance kInstance{.uniquifier = 7, .random_number = 70};

int code(Status status) { return status.value() & 0xff; }

TEST_CASE("at most four resets are in progress") {
  CrossControllerResets resets;
  for (uint16_t cntlid = 1; cntlid <= 4; ++cntlid) {
    REQUIRE(resets.check(cntlid, kInstance).ok());
    resets.begin(cntlid, kInstance, true);
  }
  CHECK(code(resets.check(5, kInstance)) == 0x41);
  CHECK(code(resets.check(4, kInstance)) == 0x3f);
  CHECK(resets.complete(2, kInstance));
  CHECK_FALSE(resets.complete(2, kInstance));
  CHECK_FALSE(resets.complete(3, {.uniquifier = 8, .random_number = 70}));
  CHECK(resets.check(5, kInstance).ok());
}

TEST_CASE("a log with 511 entries takes no more until the host removes some") {
  CrossControllerResets resets;
  for (uint16_t cntlid = 1; cntlid <= 511; ++cntlid) {
    REQUIRE(resets.check(cntlid, kInstance).ok());
    resets.begin(cntlid, kInstance, true);
    REQUIRE(resets.complete(cntlid, kInstance));
  }
  CHECK(code(resets.check(512, kInstance)) == 0x40);
  resets.remove_completed(600, 700);
  resets.remove_completed(5, 2);
  CHECK(resets.entries().size() == 511);
  resets.remove_completed(510, 600);
  CHECK(resets.entries().size() == 510);
  REQUIRE(resets.check(512, kInstance).ok());
  resets.begin(512, kInstance, true);
  resets.remove_completed(0, 511);
  REQUIRE(resets.entries().size() == 1);
  CHECK(resets.entries().front().cntlid == 512);
}

}  // namespace
}  // namespace nvmf::core
