// In-band authentication, DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: wrong keys, wrong messages, wrong commands.
#include <doctest/doctest.h>

#include "tests/protocol/secured.h"

namespace nvmf::test {
namespace {

TEST_CASE("host does not accept the controller's response: AUTH_Failure2 ends the controller") {
  Secured w;
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin();
  REQUIRE(prover.send(prover.reply(w.host_key, std::vector<uint8_t>(64, 1))).ok());
  prover.receive();
  nvme::AuthFailure failure{};
  failure.header = {0, static_cast<uint8_t>(AuthId::Failure2), 0, kTid};
  failure.reason = 1;
  failure.explanation = 1;
  CHECK(prover.send(to_bytes(failure)).ok());
  CHECK(w.host.admin.disconnected());
  CHECK(w.failures(AuthenticationFailure::HostRejected) == 1);
}

TEST_CASE("host asks for the controller's response, and there is no key for that: Authentication Failed") {
  Secured w;
  core::AuthenticatedHost rules{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}};
  w.world.subsystem.set_allowed_hosts(false, {}, {rules});
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin();
  REQUIRE(prover.send(prover.reply(w.host_key, std::vector<uint8_t>(64, 1))).ok());
  prover.expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.failures(AuthenticationFailure::NoKey) == 1);
}

TEST_CASE("host with a wrong key: Authentication Failed, on the admin queue and on an I/O queue") {
  bool on_io = false;
  SUBCASE("admin queue") {}
  SUBCASE("I/O queue") { on_io = true; }
  Secured w;
  if (on_io) {
    w.bring_up_admin();
    REQUIRE(w.host.connect_io(1).ok());
  } else {
    REQUIRE(w.connect().ok());
  }
  Wire& wire = on_io ? w.host.io(1) : w.host.admin;
  Prover prover = w.prover(wire);
  prover.begin();
  REQUIRE(prover.send(prover.reply(key_of('h'))).ok());
  prover.expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.host.admin.disconnected() == !on_io);
  CHECK(w.failures(AuthenticationFailure::WrongResponse) == 1);
  CHECK(w.logged("another key than \"key_file\""));
  CHECK(w.world.disk_1.seen.empty());
}

TEST_CASE("host whose key could not be read by the target: Authentication Failed") {
  Secured w;
  w.world.subsystem.set_allowed_hosts(false, {}, {{.nqn = World::kHostNqn, .keys = {}}});
  REQUIRE(w.connect().ok());
  REQUIRE(w.admin().send(negotiate()).ok());
  w.admin().expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.failures(AuthenticationFailure::NoKey) == 1);
  CHECK(w.failures(AuthenticationFailure::WrongResponse) == 0);
  CHECK(w.logged("the target could not read any \"key_file\" of the host"));
}

TEST_CASE("a reply that was right in another transaction is wrong") {
  Secured w;
  REQUIRE(w.connect().ok());
  Prover first = w.admin();
  first.begin({1}, {0});
  const Bytes replayed = first.reply(w.host_key);
  REQUIRE(first.send(replayed).ok());
  REQUIRE(first.receive_as<nvme::DhchapSuccess1>().header.auth_id == static_cast<uint8_t>(AuthId::Success1));
  Prover second = w.admin();
  second.begin({1}, {0});
  CHECK(second.c1 != first.c1);
  CHECK(second.challenge.seqnum != first.challenge.seqnum);
  REQUIRE(second.send(replayed).ok());
  second.expect_failure(AuthExplanation::AuthenticationFailed);
}

TEST_CASE("a reply with the target's own challenge or DH value is refused, even when its response is right") {
  Secured w;
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  SUBCASE("challenge") {
    prover.begin({1}, {0});
    REQUIRE(prover.send(prover.reply(w.host_key, prover.c1)).ok());
  }
  SUBCASE("DH value") {
    prover.begin({1}, {1});
    Bytes reply = prover.reply(w.host_key);
    std::memcpy(reply.data() + reply.size() - 256, prover.dh_value.data(), 256);
    REQUIRE(prover.send(reply).ok());
  }
  prover.expect_failure(AuthExplanation::AuthenticationFailed);
  CHECK(w.logged("the target's own challenge or DH value"));
}

TEST_CASE("a DH value that makes the shared value known is refused: Incorrect Payload") {
  for (const uint8_t last : {0, 1}) {
    Secured w;
    REQUIRE(w.connect().ok());
    Prover prover = w.admin();
    prover.begin({1}, {1});
    Bytes reply = prover.reply(w.host_key);
    std::fill(reply.end() - 256, reply.end(), std::byte{0});
    reply.back() = std::byte{last};
    REQUIRE(prover.send(reply).ok());
    prover.expect_failure(AuthExplanation::IncorrectPayload);
  }
}

TEST_CASE("messages that break a rule: AUTH_Failure1 with its explanation") {
  Secured w;
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  const auto refuse = [&](const Bytes& message, AuthExplanation explanation) {
    REQUIRE(prover.send(message).ok());
    prover.expect_failure(explanation);
    CHECK(w.failures(AuthenticationFailure::Protocol) == 1);
  };
  SUBCASE("shorter than any message") { refuse(Bytes(5), AuthExplanation::IncorrectPayload); }
  SUBCASE("AUTH_Negotiate without its descriptor") {
    Bytes message = negotiate();
    message.resize(8);
    refuse(message, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("AUTH_Negotiate whose descriptor is cut off") {
    Bytes message = negotiate();
    message.pop_back();
    refuse(message, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("AUTH_Negotiate with more descriptors than it has") {
    Bytes message = negotiate();
    message[7] = std::byte{2};
    refuse(message, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("AUTH_Negotiate with lists that are too long") {
    Bytes message = negotiate();
    message[10] = std::byte{31};
    refuse(message, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("another protocol") { refuse(negotiate({1}, {0}, 0, 2), AuthExplanation::ProtocolNotUsable); }
  SUBCASE("a secure channel") { refuse(negotiate({1}, {0}, 1), AuthExplanation::SecureChannelMismatch); }
  SUBCASE("no hash function that there is") { refuse(negotiate({4, 0, 200}, {0}), AuthExplanation::HashNotUsable); }
  SUBCASE("no group that there is") { refuse(negotiate({1}, {6, 200}), AuthExplanation::DhGroupNotUsable); }
  SUBCASE("a reply before there is a challenge") {
    nvme::DhchapReply reply{};
    reply.header = {1, static_cast<uint8_t>(AuthId::Reply), 0, kTid};
    refuse(to_bytes(reply), AuthExplanation::IncorrectMessage);
  }
  SUBCASE("success2 instead of a reply") {
    prover.begin();
    nvme::DhchapSuccess2 success{};
    success.header = {1, static_cast<uint8_t>(AuthId::Success2), 0, kTid};
    refuse(to_bytes(success), AuthExplanation::IncorrectMessage);
  }
  SUBCASE("the reply of another transaction") {
    prover.begin();
    Bytes reply = prover.reply(w.host_key);
    reply[4] ^= std::byte{1};
    refuse(reply, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("a reply that is cut off") {
    prover.begin();
    Bytes reply = prover.reply(w.host_key);
    reply.pop_back();
    refuse(reply, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("a reply with another hash length") {
    prover.begin();
    Bytes reply = prover.reply(w.host_key);
    reply[6] = std::byte{32};
    refuse(reply, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("a reply with another length of its DH value") {
    prover.begin({1}, {1});
    Bytes reply = prover.reply(w.host_key);
    reply[10] = std::byte{255};
    refuse(reply, AuthExplanation::IncorrectPayload);
  }
  SUBCASE("a reply with a challenge and no sequence number") {
    prover.begin();
    refuse(prover.reply(w.host_key, std::vector<uint8_t>(64, 9), 0), AuthExplanation::IncorrectPayload);
  }
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("authentication commands with a wrong field: Invalid Field in Command") {
  Secured w;
  REQUIRE(w.connect().ok());
  const auto refuse = [&](auto change) {
    for (Sqe sqe : {auth_send(72), auth_receive(72)}) {
      nvme::AuthenticationCommand fields;
      std::memcpy(&fields, &sqe, sizeof fields);
      change(fields);
      std::memcpy(&sqe, &fields, sizeof fields);
      CHECK(w.host.admin.send(sqe, Bytes(fields.length_bytes)).status == NVME_SC_INVALID_FIELD);
    }
  };
  refuse([](auto& fields) { fields.secp = 0xe8; });
  refuse([](auto& fields) { fields.spsp0 = 0; });
  refuse([](auto& fields) { fields.spsp1 = 2; });
  refuse([](auto& fields) { fields.length_bytes = 0; });
  refuse([](auto& fields) { fields.length_bytes = 4097; });
}

TEST_CASE("Authentication Receive without a message, or with too little room for it") {
  Secured w;
  REQUIRE(w.connect().ok());
  CHECK(w.host.admin.send(auth_receive(), Bytes(kAuthMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
  REQUIRE(w.admin().send(negotiate({1}, {0})).ok());
  CHECK(w.host.admin.send(auth_receive(47), Bytes(47)).status == NVME_SC_INVALID_FIELD);
  const Answer challenge = w.host.admin.send(auth_receive(48), Bytes(48));
  CHECK(challenge.ok());
  CHECK(challenge.as<nvme::DhchapChallenge>().hl == 32);
  CHECK(w.host.admin.send(auth_receive(), Bytes(kAuthMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
}

}  // namespace
}  // namespace nvmf::test
