// Nobody without the key gets in by any queue, whatever messages he sends.
#include "tests/simulation/authenticating.h"

#include <doctest/doctest.h>

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
