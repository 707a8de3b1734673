// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: how long a host has, and what comes while a
// worker has its transaction.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

TEST_CASE("while a worker has the transaction: Authentication Send waits for it, more commands are refused") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  REQUIRE(w.connect().ok());
  const Bytes message = negotiate({1}, {0});
  const size_t sent = w.host.admin.post(auth_send(message.size()), message);
  CHECK(!w.host.admin.answered(sent));
  CHECK(w.host.admin.send(auth_send(message.size()), message).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(w.host.admin.send(auth_receive(), Bytes(kAuthMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
  slow.work();
  CHECK(w.host.admin.take(sent).ok());
  Prover prover = w.admin();
  prover.take_challenge(prover.receive());
  const Bytes reply = prover.reply(w.host_key);
  const size_t replied = w.host.admin.post(auth_send(reply.size()), reply);
  CHECK(!w.host.admin.answered(replied));
  CHECK(w.host.enable().status == specific(NVME_SC_AUTH_REQUIRED));
  slow.work();
  CHECK(w.host.admin.take(replied).ok());
  CHECK(prover.receive_as<nvme::DhchapSuccess1>().header.auth_id == static_cast<uint8_t>(AuthId::Success1));
  CHECK(w.host.enable().ok());
}

TEST_CASE("a host whose controller ends while a worker has its transaction gets nothing by it") {
  Secured w;
  SlowCrypto slow;
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin({1}, {0});
  w.world.target.dhchap_crypto = &slow;
  const Bytes reply = prover.reply(w.host_key);
  const size_t replied = w.host.admin.post(auth_send(reply.size()), reply);
  w.world.subsystem.disconnect_all("the operator has removed it");
  CHECK(w.host.admin.disconnected());
  slow.work();
  CHECK(w.host.admin.answered(replied));
  CHECK(w.host.admin.drops(property_get(NVME_REG_CSTS)));
}

TEST_CASE("a host has 30 s for its first authentication, however many messages it sends, and whatever its Keep Alive") {
  Secured w;
  REQUIRE(w.host.connect(World::kNqn, 5000).ok());
  const auto now = core::Target::Clock::now();
  w.admin().begin();
  w.admin().begin();
  w.host.admin.queue.saw_command = true;
  w.world.target.expire(now + std::chrono::seconds(29));
  CHECK(!w.host.admin.disconnected());
  w.host.admin.queue.saw_command = true;
  w.world.target.expire(now + std::chrono::seconds(31));
  CHECK(w.host.admin.disconnected());
  CHECK(w.failures(AuthenticationFailure::TimedOut) == 1);
  CHECK(w.logged("has not authenticated within 30 s"));
}

TEST_CASE("an I/O queue has 30 s, too") {
  Secured w;
  w.bring_up_admin();
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).begin();
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31));
  CHECK(w.host.io(1).disconnected());
}

TEST_CASE("a host that does not fetch AUTH_Failure1 is disconnected, and has failed once") {
  Secured w;
  REQUIRE(w.connect().ok());
  REQUIRE(w.admin().send(negotiate({9})).ok());
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31));
  CHECK(w.host.admin.disconnected());
  CHECK(w.failures(AuthenticationFailure::Protocol) == 1);
  CHECK(w.failures(AuthenticationFailure::TimedOut) == 0);
}

TEST_CASE("a live queue whose host breaks a rule and fetches nothing is disconnected") {
  Secured w;
  w.bring_up_admin();
  REQUIRE(w.admin().send(success2()).ok());
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31));
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("a host that waits for a worker is not too late") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  REQUIRE(w.host.connect(World::kNqn, 5000).ok());
  const Bytes message = negotiate({1}, {0});
  const size_t sent = w.host.admin.post(auth_send(message.size()), message);
  w.host.admin.queue.saw_command = false;
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(60));
  CHECK(!w.host.admin.disconnected());
  slow.work();
  CHECK(w.host.admin.answered(sent));
}

TEST_CASE("an authentication was given up while the target worked on it: it stays over, whatever the work shows") {
  Secured w;
  REQUIRE(w.host.connect(World::kNqn, 5000).ok());
  w.admin().authenticate(w.host_key);
  REQUIRE(w.host.enable().ok());
  REQUIRE(w.host.connect_io(1).ok());
  Wire& io = w.host.io(1);
  Prover stranger = w.prover(io);
  SlowCrypto slow;
  Bytes message;
  SUBCASE("on its challenge") {
    w.world.target.dhchap_crypto = &slow;
    message = negotiate({1}, {0});
  }
  SUBCASE("on his response") {
    stranger.begin();
    w.world.target.dhchap_crypto = &slow;
    message = stranger.reply(key_of('h'));
  }
  const size_t sent = io.post(auth_send(message.size()), message);
  w.host.admin.queue.saw_command = io.queue.saw_command = false;
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(60));
  CHECK(w.failures(AuthenticationFailure::Abandoned) == 1);
  slow.work();
  CHECK(io.answered(sent));
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(120));
  for (const auto failure : {AuthenticationFailure::WrongResponse, AuthenticationFailure::TimedOut})
    CHECK(w.failures(failure) == 0);
  CHECK(w.failures(AuthenticationFailure::Abandoned) == 1);
}

}  // namespace
}  // namespace nvmf::test
