// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: authentication of a live queue, and of one
// transaction after the other.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

TEST_CASE("authentication again on a live queue: commands go on meanwhile, a failure ends the controller") {
  Secured w;
  w.bring_up_admin();
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(w.host_key);
  Wire& io = w.host.io(1);
  const Sqe read = command(nvme_cmd_read, 1);
  for (Wire* const wire : {&w.host.admin, &io}) {
    Prover again = w.prover(*wire);
    again.begin();
    CHECK(io.send(read, Bytes(512)).ok());
    REQUIRE(again.send(again.reply(w.host_key)).ok());
    CHECK(io.send(read, Bytes(512)).ok());
    CHECK(again.receive_as<nvme::DhchapSuccess1>().header.auth_id == static_cast<uint8_t>(AuthId::Success1));
  }
  CHECK(io.send(read, Bytes(512)).ok());
  Prover wrong = w.prover(io);
  wrong.begin();
  REQUIRE(wrong.send(wrong.reply(key_of('h'))).ok());
  wrong.expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("a host that fails to authenticate again: no queue executes anything more, before it hears of that, too") {
  Secured w;
  w.bring_up_admin();
  for (const uint16_t qid : {uint16_t{1}, uint16_t{2}}) {
    REQUIRE(w.host.connect_io(qid).ok());
    w.prover(w.host.io(qid)).authenticate(w.host_key);
  }
  const auto fail_on = [&](Wire& wire) {
    Prover wrong = w.prover(wire);
    wrong.begin();
    REQUIRE(wrong.send(wrong.reply(key_of('h'))).ok());
    return wrong;
  };
  const auto all_end = [&] {
    return w.host.admin.disconnected() && w.host.io(1).disconnected() && w.host.io(2).disconnected();
  };
  const auto expire_after = [&](uint32_t ms) {
    w.world.target.expire(core::Target::Clock::now() + std::chrono::milliseconds(ms));
  };
  SUBCASE("I/O queue") {
    Prover wrong = fail_on(w.host.io(1));
    CHECK(w.host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).status == specific(NVME_SC_AUTH_REQUIRED));
    CHECK(w.host.io(2).drops(command(nvme_cmd_read, 1), Bytes(512)));
    CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).status == specific(NVME_SC_AUTH_REQUIRED));
    CHECK(w.world.disk_1.seen.empty());
    CHECK(!w.host.io(1).disconnected());
    SUBCASE("its host fetches AUTH_Failure1") { wrong.expect_failure(AuthExplanation::AuthenticationFailed); }
    SUBCASE("its host does not") { expire_after(2000); }
    SUBCASE("its connection ends") { w.host.io(1).close(); }
    SUBCASE("the admin queue's connection ends") { w.host.admin.close(); }
    CHECK((w.host.admin.queue.controller == nullptr || w.host.admin.disconnected()));
    CHECK(w.host.io(2).disconnected());
  }
  SUBCASE("admin queue") {
    Prover wrong = fail_on(w.host.admin);
    CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).status == specific(NVME_SC_AUTH_REQUIRED));
    for (const uint16_t qid : {uint16_t{1}, uint16_t{2}})
      CHECK(w.host.io(qid).drops(command(nvme_cmd_read, 1), Bytes(512)));
    CHECK(w.world.disk_1.seen.empty());
    CHECK(!w.host.admin.disconnected());
    CHECK(w.host.connect_io(3).status == specific(NVME_SC_CONNECT_CTRL_BUSY));
    SUBCASE("its host fetches AUTH_Failure1") {
      wrong.expect_failure(AuthExplanation::AuthenticationFailed);
      CHECK(all_end());
    }
    SUBCASE("its host does not") {
      expire_after(2000);
      CHECK(all_end());
    }
    SUBCASE("its connection ends") {
      w.host.admin.close();
      CHECK(w.host.io(1).disconnected());
    }
    SUBCASE("the operator disconnects it") {
      w.world.subsystem.disconnect_all("the operator");
      CHECK(all_end());
    }
  }
  SUBCASE("a command that the disk has: the queues end after it") {
    w.world.disk_1.hold = true;
    const size_t write = w.host.io(2).post(command(nvme_cmd_write, 1), Bytes(512));
    Prover wrong = fail_on(w.host.admin);
    expire_after(2000);
    CHECK(!w.host.admin.disconnected());
    w.world.disk_1.complete_all();
    CHECK(w.host.io(2).answered(write));
    CHECK(all_end());
  }
  SUBCASE("a queue that is being ended stays so") {
    SlowCrypto slow;
    Wire& io = w.host.io(1);
    Prover wrong = w.prover(io);
    wrong.begin({1}, {0});
    w.world.target.dhchap_crypto = &slow;
    const Bytes reply = wrong.reply(key_of('h'));
    io.post(auth_send(reply.size()), reply);
    io.queue.admission = core::Admission::Dropped;
    slow.work();
    CHECK(io.drops(command(nvme_cmd_read, 1), Bytes(512)));
  }
}

TEST_CASE("a transaction begins without anything of the one before") {
  Secured w;
  SeeingCrypto crypto;
  w.world.target.dhchap_crypto = &crypto;
  REQUIRE(w.connect().ok());
  Prover first = w.admin();
  first.begin({1}, {1});
  w.admin().begin({1}, {1});
  CHECK(crypto.was_fresh);
  Prover mutual = w.admin();
  mutual.begin({1}, {1});
  REQUIRE(mutual.send(mutual.reply(w.host_key, std::vector<uint8_t>(32, 0x5c))).ok());
  mutual.receive();
  Prover one_way = w.admin();
  one_way.begin({1}, {0});
  CHECK(crypto.was_fresh);
  REQUIRE(one_way.send(one_way.reply(w.host_key)).ok());
  const Bytes success = one_way.receive();
  CHECK(slice(success, sizeof(nvme::DhchapSuccess1), 32) == std::vector<uint8_t>(32));

  // A transaction that its host leaves: its secrets go.
  w.admin().begin({1}, {1});
  CHECK(crypto.seen->exponent != nullptr);
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(130));
  CHECK(!w.host.admin.disconnected());
  CHECK(crypto.seen->exponent == nullptr);
}

TEST_CASE("a queue that is authenticated stays when its host leaves a new transaction") {
  Secured w;
  w.bring_up_admin();
  w.admin().begin();
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(130));
  CHECK(!w.host.admin.disconnected());
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
  CHECK(w.failures(AuthenticationFailure::TimedOut) == 0);
}

TEST_CASE("a message that comes after its new transaction has timed out is aborted, and the queue stays") {
  Secured w;
  w.bring_up_admin();
  Prover late = w.admin();
  late.begin();
  const Bytes reply = late.reply(w.host_key);
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(130));
  CHECK(late.send(reply).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(late.send(success2()).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(w.host.admin.send(auth_receive(), Bytes(kAuthMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
  // No longer than until the next one begins.
  w.admin().authenticate(w.host_key);
  REQUIRE(w.admin().send(success2()).ok());
  w.admin().expect_failure(AuthExplanation::IncorrectMessage);
}

TEST_CASE("a host that begins again and again is disconnected") {
  Secured w;
  REQUIRE(w.connect().ok());
  for (uint32_t i = 0; i < core::limits::kMaxNegotiations; ++i) w.admin().begin();
  REQUIRE(w.admin().send(negotiate()).ok());
  w.admin().expect_failure(AuthExplanation::IncorrectMessage);
}

TEST_CASE("a live queue authenticates again four times at once, then it is put off, and goes on executing commands") {
  Secured w;
  w.bring_up_admin();
  for (uint32_t i = 0; i < core::limits::kRenegotiationBurst; ++i) w.admin().authenticate(w.host_key);
  const Answer put_off = w.admin().send(negotiate());
  CHECK(put_off.status == NVME_SC_INTERNAL);
  CHECK(!put_off.do_not_retry);
  CHECK(w.logged("authenticates again and again"));
  CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).ok());
  // Each queue for itself.
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(w.host_key);
  w.prover(w.host.io(1)).authenticate(w.host_key);
}

}  // namespace
}  // namespace nvmf::test
