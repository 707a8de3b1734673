// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: keys that come and go.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

// The host has authenticated its admin queue with one of its two keys, and I/O queue 1 with the other.
struct TwoKeys : Secured {
  const Key next_key = key_of('h');
  const core::AuthenticatedHost present{.nqn = World::kHostNqn, .keys = {host_key, nullptr}};
  const core::AuthenticatedHost next{.nqn = World::kHostNqn, .keys = {next_key, nullptr}};

  TwoKeys() {
    world.subsystem.set_allowed_hosts(false, {}, {present, next});
    bring_up_admin();
    REQUIRE(host.connect_io(1).ok());
    prover(host.io(1)).authenticate(next_key);
  }
};

TEST_CASE("two keys of a host are valid while both are listed, and with which the host came is known") {
  TwoKeys w;
  CHECK(w.host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  CHECK(core::same(*w.host.controller().authentication()->keys().host, *w.host_key));

  // The former key goes: who is authenticated stays, until the operator wants it otherwise.
  w.world.subsystem.set_allowed_hosts(false, {}, {w.next});
  CHECK(!w.host.admin.disconnected());
  CHECK(w.world.subsystem.disconnect_former_keys() == 1);
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("hosts with a present key are not disconnected with those of former keys") {
  Secured w;
  w.bring_up_admin();
  CHECK(w.world.subsystem.disconnect_former_keys() == 0);
  CHECK(!w.host.admin.disconnected());
}

TEST_CASE("a host that must authenticate from now on is disconnected") {
  Secured w;
  w.world.subsystem.set_allowed_hosts(false, {World::kHostNqn}, {});
  w.host.bring_up(1);
  w.world.subsystem.set_allowed_hosts(false, {}, {{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}}});
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("an I/O queue that never authenticated is disconnected when its host must authenticate again") {
  Secured w;
  w.bring_up_admin();
  w.world.subsystem.set_allowed_hosts(false, {World::kHostNqn}, {});
  REQUIRE(w.host.connect_io(1).ok());
  CHECK(w.host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  w.world.subsystem.set_allowed_hosts(false, {}, {{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}}});
  CHECK(w.host.io(1).disconnected());
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("an I/O queue that has authenticated with a former key ends its controller, whatever the admin queue's key") {
  TwoKeys w;
  w.world.subsystem.set_allowed_hosts(false, {}, {w.present});
  CHECK(w.world.subsystem.disconnect_former_keys() == 1);
  CHECK(w.host.io(1).disconnected());
}

TEST_CASE("a key that goes while its transaction is under way lets nobody in") {
  Secured w;
  const core::AuthenticatedHost next{.nqn = World::kHostNqn, .keys = {key_of('h'), w.controller_key}};
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin();
  SUBCASE("before Success1") {
    REQUIRE(prover.send(prover.reply(w.host_key)).ok());
    w.world.subsystem.set_allowed_hosts(false, {}, {next});
  }
  SUBCASE("before Success2") {
    REQUIRE(prover.send(prover.reply(w.host_key, std::vector<uint8_t>(64, 1))).ok());
    CHECK(prover.receive_as<nvme::DhchapSuccess1>().header.auth_id == static_cast<uint8_t>(AuthId::Success1));
    w.world.subsystem.set_allowed_hosts(false, {}, {next});
    nvme::DhchapSuccess2 accepted{};
    accepted.header = {1, static_cast<uint8_t>(AuthId::Success2), 0, kTid};
    CHECK(prover.send(to_bytes(accepted)).ok());
  }
  CHECK(w.host.enable().status == specific(NVME_SC_AUTH_REQUIRED));
  prover.expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.failures(AuthenticationFailure::WrongResponse) == 1);
  CHECK(w.world.target.counters.authentications == 0);
}

TEST_CASE("the key of a transaction that has not ended is not yet the one with which the host came") {
  Secured w;
  const Key next_key = key_of('h');
  w.world.subsystem.set_allowed_hosts(
      false, {},
      {{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}}, {.nqn = World::kHostNqn, .keys = {next_key, nullptr}}});
  w.bring_up_admin();
  Prover again = w.admin();
  again.begin();
  REQUIRE(again.send(again.reply(next_key)).ok());
  CHECK(core::same(*w.host.controller().authentication()->keys().host, *w.host_key));
  again.receive();
  CHECK(core::same(*w.host.controller().authentication()->keys().host, *next_key));
}

}  // namespace
}  // namespace nvmf::test
