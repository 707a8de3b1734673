// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: what strangers can do at a free I/O queue of a
// host's controller, which must be nothing.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

// From the host's own address, by its NQN, its identifier and the number of its controller.
struct StrangerAtFreeQueue : Secured {
  StrangerAtFreeQueue() {
    bring_up_admin();
    REQUIRE(host.connect_io(1).ok());
    prover(host.io(1)).authenticate(host_key);
    REQUIRE(host.connect_io(2).ok());
  }
  Wire& stranger() { return host.io(2); }
  bool is_host_served() {
    return !host.admin.disconnected() && host.identify(NVME_IDENTIFY_CNS_CTRL).ok() && !host.io(1).disconnected() &&
           host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok();
  }
};

TEST_CASE("a stranger who fails at a free I/O queue of a host's controller ends that queue alone") {
  StrangerAtFreeQueue w;
  Prover prover = w.prover(w.stranger());
  const auto wrong_reply = [&] {
    prover.begin();
    REQUIRE(prover.send(prover.reply(key_of('h'))).ok());
  };
  SUBCASE("a wrong key, and he fetches AUTH_Failure1") {
    wrong_reply();
    prover.expect_failure(AuthExplanation::AuthenticationFailed);
  }
  SUBCASE("a wrong key, and he does not") {
    wrong_reply();
    w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31));
  }
  SUBCASE("a message that breaks a rule") {
    REQUIRE(prover.send(success2()).ok());
    prover.expect_failure(AuthExplanation::IncorrectMessage);
  }
  SUBCASE("AUTH_Failure2") {
    prover.begin();
    REQUIRE(prover.send(failure2()).ok());
  }
  SUBCASE("nothing for 30 s") { w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(31)); }
  CHECK(w.stranger().disconnected());
  CHECK(w.stranger().drops(auth_receive(), Bytes(kAuthMessageBytes)));
  CHECK(w.is_host_served());
  // The identifier is the host's again at once, before the stranger's connection has ended.
  const Wire& former = w.stranger();
  Wire again(w.world, 2);
  REQUIRE(again.send(connect_command(2, kIoSqsize), to_bytes(w.host.connect_data(World::kNqn, w.host.cntlid))).ok());
  w.prover(again).authenticate(w.host_key);
  CHECK(again.send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  w.stranger().close();
  CHECK(former.queue.controller == nullptr);
  CHECK(again.send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  CHECK(w.is_host_served());
}

TEST_CASE("a host whose I/O queue a stranger has taken tries again; one that connects a queue twice does not") {
  StrangerAtFreeQueue w;
  CHECK(w.host.controller().is_admitted(w.host.io(1).queue));
  CHECK(!w.host.controller().is_admitted(w.stranger().queue));
  const auto connect = [&](uint16_t qid) {
    Wire wire(w.world, qid);
    return wire.send(connect_command(qid, kIoSqsize), to_bytes(w.host.connect_data(World::kNqn, w.host.cntlid)));
  };
  const Answer taken = connect(2);
  CHECK(taken.status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(!taken.do_not_retry);
  const Answer twice = connect(1);
  CHECK(twice.status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(twice.do_not_retry);
}

TEST_CASE("a stranger at a free I/O queue keeps no controller alive whose host is dead") {
  StrangerAtFreeQueue w;
  const auto now = core::Target::Clock::now();
  // For one period of the timer it could be the host itself, which authenticates there.
  w.host.controller().set_keep_alive(1000, now - std::chrono::milliseconds(1100));
  w.stranger().queue.saw_command = true;
  w.world.target.expire(now);
  CHECK(!w.host.admin.disconnected());
  w.stranger().queue.saw_command = true;
  SUBCASE("he sends messages, and nothing else comes") {
    w.world.target.expire(now + std::chrono::milliseconds(1100));
    CHECK(w.host.admin.disconnected());
  }
  SUBCASE("it is the host, which authenticates there") {
    w.prover(w.stranger()).authenticate(w.host_key);
    REQUIRE(w.host.connect_io(3).ok());
    for (Wire* const wire : {&w.host.admin, &w.host.io(1), &w.host.io(2)}) wire->queue.saw_command = false;
    w.world.target.expire(now + std::chrono::seconds(2));
    CHECK(!w.host.admin.disconnected());
  }
}

TEST_CASE("a stranger keeps the controller of a dead host with a long timer no longer than authentication may take") {
  StrangerAtFreeQueue w;
  const auto now = core::Target::Clock::now();
  w.host.controller().set_keep_alive(40'000, now - std::chrono::milliseconds(40'100));
  w.stranger().queue.saw_command = true;
  w.world.target.expire(now);
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("a stranger at a free I/O queue keeps no silent controller in its host's way") {
  StrangerAtFreeQueue w;
  w.world.subsystem.set_max_controllers(3, 1);
  w.host.controller().set_keep_alive(10'000, core::Target::Clock::now() - std::chrono::seconds(8));
  w.stranger().queue.saw_command = true;
  Host again(w.world);
  REQUIRE(again.connect().ok());
  w.prover(again.admin).authenticate(w.host_key);
  CHECK(w.host.admin.disconnected());
  CHECK(!again.admin.disconnected());
}

}  // namespace
}  // namespace nvmf::test
