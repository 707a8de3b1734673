// Lost Host Communication, log page 1Fh and its event (TP8028): a host whose path has died hears by another one that
// the target has noticed.
#include <doctest/doctest.h>

#include "target/nvme/cross_controller_reset.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using LogEntry = nvme::LostHostCommunicationLogEntry;
using LogHeader = nvme::LostHostCommunicationLogHeader;
using Clock = core::Target::Clock;

constexpr uint32_t kEvent = NVME_AER_NOTICE | 0xf5u << 8 | 0x1fu << 16;

// One host with two controllers.
struct TwoPaths {
  World world;
  Host lost{world};
  Host alive{world, World::kHostNqn, 2};
  size_t event = 0;

  TwoPaths() {
    lost.bring_up(1, World::kNqn, 1000);
    alive.bring_up(1);
    alive.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 1u << 21);
    event = alive.await_event();
  }
  // The controller's keep-alive timer expires.
  void expire() {
    auto deadline = world.target.expire(Clock::now());
    deadline = world.target.expire(deadline.value());  // there was traffic before
    world.target.expire(deadline.value());
    REQUIRE(world.target.counters.keep_alive_expiries != 0);
  }
  static std::vector<LogEntry> log(Host& host, bool retain = true) {
    const Answer answer = host.log_page(0x1f, 4096, 0, retain);
    REQUIRE(answer.ok());
    std::vector<LogEntry> entries;
    for (uint16_t i = 0; i < answer.as<LogHeader>().entries; ++i)
      entries.push_back(answer.as<LogEntry>(sizeof(LogHeader) + i * sizeof(LogEntry)));
    return entries;
  }
};

TEST_CASE("a path of a host dies: the host hears of it by its other path, once, until it has read the log") {
  TwoPaths w;
  const uint16_t cntlid = w.lost.cntlid;
  const uint8_t uniquifier = w.lost.controller().instance().uniquifier;
  SUBCASE("its keep-alive timer expires") { w.expire(); }
  SUBCASE("its connection ends, and nobody has ended it") { w.lost.admin.close(); }
  CHECK(w.alive.admin.take(w.event).result == kEvent);
  REQUIRE(TwoPaths::log(w.alive).size() == 1);
  CHECK(TwoPaths::log(w.alive)[0].cntlid == cntlid);
  CHECK(TwoPaths::log(w.alive)[0].count == 1);
  CHECK(TwoPaths::log(w.alive)[0].uniquifier == uniquifier);
  // The end of its connections is the same loss.
  if (w.lost.admin.disconnected())
    for (Wire* wire : {&w.lost.io(1), &w.lost.admin}) wire->close();
  CHECK(TwoPaths::log(w.alive, false).size() == 1);
  CHECK(TwoPaths::log(w.alive).empty());
  CHECK_FALSE(w.alive.admin.answered(w.alive.await_event()));
}

TEST_CASE("the host reads the log in pieces: the log is cleared with its last entry") {
  TwoPaths w;
  w.lost.admin.close();
  constexpr uint32_t kHeader = sizeof(LogHeader);
  CHECK(w.alive.log_page(0x1f, kHeader, 0, false).as<LogHeader>().entries == 1);
  REQUIRE(TwoPaths::log(w.alive).size() == 1);
  CHECK(w.alive.log_page(0x1f, sizeof(LogEntry), kHeader, true).as<LogEntry>().cntlid == w.lost.cntlid);
  REQUIRE(TwoPaths::log(w.alive).size() == 1);
  CHECK(w.alive.log_page(0x1f, sizeof(LogEntry), kHeader, false).as<LogEntry>().cntlid == w.lost.cntlid);
  CHECK(TwoPaths::log(w.alive).empty());
}

TEST_CASE("the host ends the controller itself, or the operator does: no loss") {
  TwoPaths w;
  SUBCASE("shutdown") { w.lost.enable(kEnable | uint32_t{NVME_CC_SHN_NORMAL} << NVME_CC_SHN_SHIFT); }
  SUBCASE("reset") { w.lost.enable(0); }
  SUBCASE("the operator disconnects it") { w.lost.controller().fail("the operator disconnects it"); }
  for (Wire* wire : {&w.lost.io(1), &w.lost.admin}) wire->close();
  CHECK_FALSE(w.alive.admin.answered(w.event));
  CHECK(TwoPaths::log(w.alive).empty());
}

TEST_CASE("an I/O queue is disconnected: the controller has its host") {
  TwoPaths w;
  REQUIRE(w.lost.io(1).send(disconnect_command()).ok());
  w.lost.io(1).close();
  CHECK(TwoPaths::log(w.alive).empty());
}

TEST_CASE("another host does not hear of it, nor the same host on another subsystem") {
  TwoPaths w;
  Host stranger(w.world, "nqn.2014-08.org.nvmexpress:uuid:99999999-2222-3333-4444-555555555555");
  stranger.hostid = {0x43};
  stranger.bring_up();
  Host elsewhere(w.world, World::kHostNqn, 2);
  elsewhere.bring_up(0, World::kOtherNqn);
  w.lost.admin.close();
  CHECK(TwoPaths::log(w.alive).size() == 1);
  for (Host* host : {&stranger, &elsewhere}) CHECK(TwoPaths::log(*host).empty());
}

TEST_CASE("the host has not enabled the event: none is reported, the log has the entry") {
  TwoPaths w;
  w.alive.set_feature(NVME_FEAT_FID_ASYNC_EVENT, 0);
  w.lost.admin.close();
  CHECK_FALSE(w.alive.admin.answered(w.event));
  CHECK(TwoPaths::log(w.alive).size() == 1);
}

TEST_CASE("a reset of the controller empties its log") {
  TwoPaths w;
  w.lost.admin.close();
  w.alive.enable(0);
  w.alive.enable();
  CHECK(TwoPaths::log(w.alive).empty());
}

TEST_CASE("losses of one identifier are counted, and the log keeps the newest identifiers") {
  core::LostHostCommunications lost;
  for (int i = 0; i < 300; ++i) lost.add(7, static_cast<uint8_t>(i));
  REQUIRE(lost.entries().size() == 1);
  CHECK(lost.entries()[0].count == 255);
  CHECK(lost.entries()[0].uniquifier == 299 % 256);
  for (uint16_t i = 0; i < nvme::kMaxLostHostCommunicationEntries; ++i) lost.add(static_cast<uint16_t>(1000 + i), 1);
  CHECK(lost.entries().size() == 511);
  CHECK(lost.entries().front().cntlid == 1000);
}

}  // namespace
}  // namespace nvmf::test
