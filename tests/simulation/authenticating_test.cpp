// Nobody without the key gets in by any queue, whatever messages he sends.
#include "tests/simulation/authenticating.h"

#include <doctest/doctest.h>

#include <optional>

#include "target/core/subsystem/controller.h"

namespace nvmf::simulation {
namespace {

TEST_CASE("an impostor gets in by no queue: not by one of its own, nor by one of a host that has authenticated") {
  const HostOptions victim;
  for (unsigned where = 0; where < kBreaches; ++where) {
    unsigned tried = 0;
    for (unsigned how = 0; how < kImpostures; ++how) {
      CAPTURE(where);
      CAPTURE(how);
      Authenticators authenticators;
      World world({.seed = 1 + how});
      authenticators.attach(world, {victim.nqn});
      HostOptions honest = victim;
      honest.authenticate = authenticators.honest(victim.nqn);
      Host host(world, honest);
      REQUIRE_MESSAGE(host.bring_up(), host.failure);  // it leaves a reply that can be replayed
      world.start_host(
          [&] { authenticators.be_impostor(static_cast<Imposture>(how), static_cast<Breach>(where), victim); });
      REQUIRE(world.wait([&] { return world.hosts_are_done(); }));
      CHECK(host.read(1, 0, 1).ok());
      host.leave();
      world.check_quiet();
      CHECK(world.fabric.faults() == std::vector<std::string>{});
      tried += authenticators.tried(static_cast<Breach>(where));
    }
    const bool is_again = where >= static_cast<unsigned>(Breach::AdminQueueAgain);
    CHECK(tried == (is_again ? kImpostures - 2 : kImpostures));
  }
}

// An honest host that has authenticated, and whose second I/O queue is free.
struct FreeQueue {
  explicit FreeQueue(uint64_t seed) : world({.seed = seed}) {
    victim.io_queues = 2;
    authenticators.attach(world, {victim.nqn});
    HostOptions honest = victim;
    honest.authenticate = authenticators.honest(victim.nqn);
    host.emplace(world, honest);
    REQUIRE_MESSAGE(host->bring_up(), host->failure);
    host->io(2).disconnect();
    REQUIRE(world.wait([this] { return is_free(); }));
  }
  bool is_free() {
    const core::Controller* const controller = world.subsystem().find_controller(host->cntlid());
    return controller == nullptr || !controller->has_io_queue(2);
  }
  // The host has all that it had before, and its second queue.
  void expect_no_harm() {
    CHECK(host->read(1, 0, 1).ok());
    CHECK(host->identify_controller().ok());
    CHECK_MESSAGE(host->connect_io(2), host->failure);
    host->leave();
    world.check_quiet();
    CHECK(world.fabric.faults() == std::vector<std::string>{});
  }

  HostOptions victim;
  Authenticators authenticators;
  World world;
  std::optional<Host> host;
};

TEST_CASE("a stranger at a free I/O queue of a host's controller, at the host's address: the host keeps what it has") {
  for (unsigned how = 0; how < kImpostures; ++how) {
    CAPTURE(how);
    FreeQueue w(1 + how);
    w.world.start_host([&] { w.authenticators.be_stranger_at(2, static_cast<Imposture>(how), *w.host, w.victim); });
    REQUIRE(w.world.wait([&] { return w.world.hosts_are_done() && w.is_free(); }));
    w.expect_no_harm();
  }
}

TEST_CASE("a stranger at a free I/O queue dies: what the log says of that is limited, as anybody can cause it") {
  FreeQueue w(1);
  unsigned lines = 0;
  w.world.target.on_event = [&, others = w.world.target.on_event](const core::Event& event) {
    others(event);
    if (event.message.find("has failed") == std::string::npos) return;
    ++lines;
    CHECK_MESSAGE(event.anybodys, event.message);
  };
  Host stranger(w.world, w.victim);
  stranger.claim(w.host->cntlid());
  REQUIRE_MESSAGE(stranger.connect_io(2), stranger.failure);
  const test::Message negotiate = test::negotiate({1}, {0});
  stranger.io(1).send(test::auth_send(negotiate.size()), Direction::ToController, negotiate);
  core::Controller& controller = *w.world.subsystem().find_controller(w.host->cntlid());
  REQUIRE(w.world.wait([&] { return controller.authentication(*controller.find_io_queue(2))->is_busy(); }));
  stranger.die();  // before it has the answer
  REQUIRE(w.world.wait([&] { return lines != 0 && w.is_free(); }));
  w.expect_no_harm();
}

// Room for four admin queues.
rnic::Profile small_rnic() {
  rnic::Profile profile = rnic::irdma_gen3();
  profile.max_srq = 8;
  profile.max_srq_wr = 64;
  return profile;
}

TEST_CASE("hosts that do not authenticate fill the RNIC: one that does has the room of the oldest at once") {
  Authenticators authenticators;
  World world({.profile = small_rnic()});
  const HostOptions victim;
  authenticators.attach(world, {victim.nqn});
  HostOptions stranger = victim;
  stranger.address = Authenticators::kImpostorAddress;
  std::vector<std::unique_ptr<Host>> strangers;
  for (int i = 0; i < 20; ++i) {
    strangers.push_back(std::make_unique<Host>(world, stranger));
    strangers.back()->connect_admin();
  }
  REQUIRE(world.transport()->connections() < strangers.size());
  HostOptions honest = victim;
  honest.authenticate = authenticators.honest(victim.nqn);
  Host host(world, honest);
  REQUIRE_MESSAGE(host.bring_up(), host.failure);
  CHECK(host.read(1, 0, 1).ok());
  strangers.clear();
  host.leave();
  world.check_quiet();
  CHECK(world.fabric.faults() == std::vector<std::string>{});
}

}  // namespace
}  // namespace nvmf::simulation
