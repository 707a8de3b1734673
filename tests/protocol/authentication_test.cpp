// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: who must authenticate, and how.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

TEST_CASE("host that need not authenticate: Connect says so, and there is nothing to authenticate") {
  World world;
  Host host(world);
  CHECK((host.connect().result >> 16) == 0);
  CHECK(host.admin.send(auth_send(72), negotiate()).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(host.enable().ok());
}

TEST_CASE("host that must authenticate: Connect says so (AUTHREQ), and nothing else is executed before") {
  Secured w;
  const Answer connect = w.connect();
  CHECK(connect.ok());
  CHECK(connect.result == (w.host.cntlid | nvme::kAuthreqAtr));
  const int required = specific(NVME_SC_AUTH_REQUIRED);
  CHECK(w.host.enable().status == required);
  CHECK(w.host.admin.send(property_get(NVME_REG_CSTS)).status == required);
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).status == required);
  CHECK(w.host.admin.send(command(nvme_admin_keep_alive)).status == required);
  CHECK(w.host.admin.send(command(nvme_admin_async_event)).status == required);
  w.admin().authenticate(w.host_key);
  CHECK(w.host.enable().ok());
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
  CHECK(w.world.target.counters.authentications == 1);
  CHECK(w.logged("with the key " + w.host_key->fingerprint()));
}

TEST_CASE("an I/O queue of an authenticated controller must authenticate, too") {
  Secured w;
  w.bring_up_admin();
  const Answer connect = w.host.connect_io(1);
  CHECK(connect.ok());
  CHECK(connect.result == (w.host.cntlid | nvme::kAuthreqAtr));
  const int required = specific(NVME_SC_AUTH_REQUIRED);
  Wire& io = w.host.io(1);
  const Sqe read = command(nvme_cmd_read, 1);
  CHECK(io.send(read, Bytes(512)).status == required);
  CHECK(io.send(command(nvme_cmd_write, 1), Bytes(512)).status == required);
  CHECK(io.send(command(nvme_cmd_flush, 1)).status == required);
  CHECK(io.send(disconnect_command()).status == required);
  CHECK(w.world.disk_1.seen.empty());
  w.prover(io).authenticate(w.host_key);
  CHECK(io.send(read, Bytes(512)).ok());
  CHECK(w.world.disk_1.seen.size() == 1);
}

TEST_CASE("every hash function and group") {
  for (const uint8_t hash : {1, 2, 3}) {
    for (const uint8_t group : {0, 1, 2, 3, 4, 5}) {
      if (group > 1 && hash != 1) continue;  // the large groups take long
      Secured w;
      REQUIRE(w.connect().ok());
      Prover prover = w.admin();
      prover.authenticate(w.host_key, {hash}, {group});
      CHECK(prover.challenge.hashid == hash);
      CHECK(prover.challenge.dhgid == group);
      CHECK(prover.challenge.hl == nvme::hash_length_bytes(static_cast<DhchapHash>(hash)));
      CHECK(prover.dh_value.size() == nvme::dh_value_length_bytes(static_cast<DhGroup>(group)));
      CHECK(w.host.enable().ok());
    }
  }
}

TEST_CASE("without a rule the strongest hash and the smallest group are chosen, NULL last") {
  Secured w;
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin({1, 3, 2}, {0, 2, 1});
  CHECK(prover.challenge.hashid == 3);
  CHECK(prover.challenge.dhgid == 1);
}

TEST_CASE("with a rule that hash and that group are chosen, or none") {
  core::AuthenticatedHost rules;
  rules.hash = DhchapHash::Sha384;
  rules.group = DhGroup::Null;
  {
    Secured w(rules);
    REQUIRE(w.connect().ok());
    Prover prover = w.admin();
    prover.begin();
    CHECK(prover.challenge.hashid == 2);
    CHECK(prover.challenge.dhgid == 0);
  }
  {
    Secured w(rules);
    REQUIRE(w.connect().ok());
    REQUIRE(w.admin().send(negotiate({1, 3})).ok());
    w.admin().expect_failure(AuthExplanation::HashNotUsable);
    CHECK(w.logged("\"dhchap_hash\""));
  }
  {
    Secured w(rules);
    REQUIRE(w.connect().ok());
    REQUIRE(w.admin().send(negotiate({1, 2, 3}, {1})).ok());
    w.admin().expect_failure(AuthExplanation::DhGroupNotUsable);
  }
}

TEST_CASE("mutual authentication: the controller answers the host's challenge, and waits for what the host thinks") {
  for (const uint8_t group : {0, 1}) {
    Secured w;
    REQUIRE(w.connect().ok());
    Prover prover = w.admin();
    prover.begin({2}, {group});
    REQUIRE(prover.send(prover.reply(w.host_key, std::vector<uint8_t>(48, 0x5c))).ok());
    const Bytes message = prover.receive();
    nvme::DhchapSuccess1 success;
    std::memcpy(&success, message.data(), sizeof success);
    CHECK(success.rvalid == 1);
    CHECK(success.hl == 48);
    CHECK(slice(message, sizeof success, 48) == prover.expected_r2(w.controller_key));
    CHECK(w.host.enable().status == specific(NVME_SC_AUTH_REQUIRED));
    nvme::DhchapSuccess2 accepted{};
    accepted.header = {1, static_cast<uint8_t>(AuthId::Success2), 0, kTid};
    CHECK(prover.send(to_bytes(accepted)).ok());
    CHECK(w.host.enable().ok());
  }
}

TEST_CASE("discovery with authentication: any key that a subsystem has for the host lets it in, nobody else") {
  Secured w;
  w.world.target.find_subsystem(nvme::kDiscoveryNqn)->set_discovery_authentication(true);
  const Answer connect = w.host.connect(nvme::kDiscoveryNqn);
  REQUIRE(connect.ok());
  CHECK((connect.result & nvme::kAuthreqAtr) != 0);
  CHECK(w.host.enable().status == specific(NVME_SC_AUTH_REQUIRED));
  w.admin().authenticate(w.host_key);
  CHECK(w.host.enable(kEnable).ok());
  Host stranger(w.world, "nqn.2024-01.org.example:stranger");
  CHECK(stranger.connect(nvme::kDiscoveryNqn).status == specific(NVME_SC_CONNECT_INVALID_HOST));
}

TEST_CASE("discovery with authentication: a host whose last key goes is disconnected") {
  Secured w;
  w.world.target.find_subsystem(nvme::kDiscoveryNqn)->set_discovery_authentication(true);
  REQUIRE(w.host.connect(nvme::kDiscoveryNqn).ok());
  w.admin().authenticate(w.host_key);
  w.world.target.expire(core::Target::Clock::now());
  CHECK(!w.host.admin.disconnected());
  SUBCASE("a subsystem has other hosts") { w.world.subsystem.set_allowed_hosts(true, {}, {}); }
  SUBCASE("the subsystem goes") { w.world.target.remove_subsystem(w.world.subsystem); }
  w.world.target.expire(core::Target::Clock::now());
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("a target that cannot authenticate lets no host in that must") {
  Secured w;
  w.world.target.dhchap_crypto = nullptr;
  CHECK(w.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
}

}  // namespace
}  // namespace nvmf::test
