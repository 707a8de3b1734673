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

}  // namespace
}  // namespace nvmf::simulation
