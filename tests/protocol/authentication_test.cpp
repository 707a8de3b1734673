// In-band authentication, DH-HMAC-CHAP: NVMe Base 2.1, section 8.3.5.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "target/auth/dhchap_key.h"
#include "target/auth/dhchap_response.h"
#include "target/auth/diffie_hellman.h"
#include "target/nvme/authentication.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using auth::DhchapKey;
using core::AuthenticationFailure;
using nvme::AuthExplanation;
using nvme::AuthId;
using nvme::AuthType;
using nvme::DhchapHash;
using nvme::DhGroup;
using Key = std::shared_ptr<const DhchapKey>;

constexpr uint16_t kTid = 0x1234;
constexpr uint32_t kMessageBytes = 4096;

Key key_of(char fill) {
  return DhchapKey::generate(32, fill == 'h' ? std::nullopt : std::optional(DhchapHash::Sha256));
}

// Does the work when told to.
class SlowCrypto final : public core::DhchapCrypto {
 public:
  void make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    waiting_ = [&transaction, done = std::move(done)] {
      auth::make_challenge(transaction);
      done();
    };
  }
  void check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    waiting_ = [&transaction, done = std::move(done)] {
      auth::check_reply(transaction);
      done();
    };
  }
  void work() { std::exchange(waiting_, nullptr)(); }

 private:
  std::function<void()> waiting_;
};

// Sees what a transaction has at the begin of its challenge.
class SeeingCrypto final : public core::DhchapCrypto {
 public:
  void make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    seen = &transaction;
    was_fresh = transaction.exponent == nullptr && transaction.r1.empty() && transaction.c2.empty() &&
                transaction.s2 == 0 && transaction.host_dh_value.empty() && transaction.keys.empty() &&
                transaction.matched.host == nullptr && transaction.r2.empty();
    auth::make_challenge(transaction);
    done();
  }
  void check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    ++replies;
    auth::check_reply(transaction);
    done();
  }
  core::DhchapTransaction* seen = nullptr;
  bool was_fresh = false;
  unsigned replies = 0;
};

Sqe authentication_command(uint8_t fctype, uint32_t length_bytes) {
  nvme::AuthenticationCommand fields{};
  fields.opcode = nvme_admin_fabrics;
  fields.fctype = fctype;
  fields.spsp0 = fields.spsp1 = nvme::kSpspNvmeof;
  fields.secp = nvme::kSecpNvmeof;
  fields.length_bytes = length_bytes;
  Sqe sqe;
  std::memcpy(&sqe, &fields, sizeof sqe);
  return sqe;
}

Sqe send_command(size_t bytes) {
  return authentication_command(nvme::kFctypeAuthenticationSend, static_cast<uint32_t>(bytes));
}
Sqe receive_command(uint32_t bytes = kMessageBytes) {
  return authentication_command(nvme::kFctypeAuthenticationReceive, bytes);
}

Bytes operator+(Bytes a, const std::vector<uint8_t>& b) {
  for (const uint8_t byte : b) a.push_back(std::byte{byte});
  return a;
}

std::vector<uint8_t> slice(const Bytes& message, size_t from, size_t count) {
  std::vector<uint8_t> bytes(count);
  if (count != 0) std::memcpy(bytes.data(), message.data() + from, count);
  return bytes;
}

Bytes negotiate(const std::vector<uint8_t>& hashes = {1, 2, 3}, const std::vector<uint8_t>& groups = {0, 1},
                uint8_t sc_c = 0, uint8_t authid = nvme::kDhchapAuthid) {
  nvme::DhchapDescriptor offer{};
  offer.authid = authid;
  offer.halen = static_cast<uint8_t>(hashes.size());
  offer.dhlen = static_cast<uint8_t>(groups.size());
  std::ranges::copy(hashes, offer.hashes);
  std::ranges::copy(groups, offer.groups);
  Bytes message = to_bytes(nvme::AuthNegotiate{.header = {0, 0, 0, kTid}, .sc_c = sc_c, .napd = 1});
  const Bytes descriptor = to_bytes(offer);
  message.insert(message.end(), descriptor.begin(), descriptor.end());
  return message;
}

// The host's side of a transaction.
class Prover {
 public:
  Prover(Wire& wire, std::string hostnqn, std::string subsysnqn) : wire_(wire) {
    transaction_.hostnqn = std::move(hostnqn);
    transaction_.subsysnqn = std::move(subsysnqn);
  }

  Answer send(const Bytes& message) { return wire_.send(send_command(message.size()), message); }
  Bytes receive() {
    const Answer answer = wire_.send(receive_command(), Bytes(kMessageBytes));
    REQUIRE(answer.ok());
    return answer.data;
  }

  // AUTH_Negotiate and the challenge.
  void begin(const std::vector<uint8_t>& hashes = {1, 2, 3}, const std::vector<uint8_t>& groups = {0, 1}) {
    REQUIRE(send(negotiate(hashes, groups)).ok());
    take_challenge(receive());
  }
  void take_challenge(const Bytes& message) {
    std::memcpy(&challenge, message.data(), sizeof challenge);
    REQUIRE(challenge.header.auth_type == 1);
    REQUIRE(challenge.header.auth_id == 1);
    c1 = slice(message, sizeof challenge, challenge.hl);
    dh_value = slice(message, sizeof challenge + challenge.hl, challenge.dhvlen);
  }

  // DH-HMAC-CHAP_Reply. `c2`: empty: one-way.
  Bytes reply(const Key& key, std::vector<uint8_t> c2 = {}, uint32_t s2 = 77) {
    const auto hash = static_cast<DhchapHash>(challenge.hashid);
    const auto group = static_cast<DhGroup>(challenge.dhgid);
    std::vector<uint8_t> own_value;
    if (group != DhGroup::Null) {
      const auth::DhExponent exponent(group);
      own_value = exponent.value();
      shared_ = exponent.shared_with(dh_value);
    }
    const auth::Secret secret = key->transformed(transaction_.hostnqn);
    const auth::Secret ca = augmented(c1);
    const auth::Secret r1 = auth::host_response(secret.bytes(), input(ca, challenge.seqnum));
    nvme::DhchapReply head{};
    head.header = {1, static_cast<uint8_t>(AuthId::Reply), 0, kTid};
    head.hl = challenge.hl;
    head.cvalid = c2.empty() ? 0 : 1;
    head.dhvlen = static_cast<uint16_t>(own_value.size());
    head.seqnum = s2;
    c2_ = c2;
    s2_ = s2;
    c2.resize(nvme::hash_length_bytes(hash));
    return to_bytes(head) + std::vector<uint8_t>(r1.bytes().begin(), r1.bytes().end()) + c2 + own_value;
  }

  // What R2 must be.
  std::vector<uint8_t> expected_r2(const Key& controller_key) {
    const auth::Secret secret = controller_key->transformed(transaction_.subsysnqn);
    const auth::Secret ca = augmented(c2_);
    const auth::Secret r2 = auth::controller_response(secret.bytes(), input(ca, s2_));
    return {r2.bytes().begin(), r2.bytes().end()};
  }

  // A whole one-way authentication.
  void authenticate(const Key& key, const std::vector<uint8_t>& hashes = {1, 2, 3},
                    const std::vector<uint8_t>& groups = {0, 1}) {
    begin(hashes, groups);
    REQUIRE(send(reply(key)).ok());
    const auto success = receive_as<nvme::DhchapSuccess1>();
    CHECK(success.header.auth_id == static_cast<uint8_t>(AuthId::Success1));
    CHECK(success.header.t_id == kTid);
    CHECK(success.rvalid == 0);
  }

  template <class Structure>
  Structure receive_as() {
    Structure structure;
    const Bytes message = receive();
    std::memcpy(&structure, message.data(), sizeof structure);
    return structure;
  }

  // The target must answer with AUTH_Failure1 and end the controller.
  void expect_failure(AuthExplanation explanation) {
    const auto failure = receive_as<nvme::AuthFailure>();
    CHECK(failure.header.auth_type == 0);
    CHECK(failure.header.auth_id == static_cast<uint8_t>(AuthId::Failure1));
    CHECK(failure.reason == nvme::kAuthenticationFailure);
    CHECK(failure.explanation == static_cast<uint8_t>(explanation));
    CHECK(wire_.disconnected());
  }

  nvme::DhchapChallenge challenge{};
  std::vector<uint8_t> c1;
  std::vector<uint8_t> dh_value;

 private:
  auth::Secret augmented(const std::vector<uint8_t>& c) const {
    return shared_ ? auth::augmented_challenge(static_cast<DhchapHash>(challenge.hashid), shared_->bytes(), c)
                   : auth::Secret(c);
  }
  auth::ResponseInput input(const auth::Secret& ca, uint32_t seqnum) const {
    return {static_cast<DhchapHash>(challenge.hashid),
            ca.bytes(),
            seqnum,
            kTid,
            0,
            transaction_.hostnqn,
            transaction_.subsysnqn};
  }

  Wire& wire_;
  core::DhchapTransaction transaction_;
  std::optional<auth::Secret> shared_;
  std::vector<uint8_t> c2_;
  uint32_t s2_ = 0;
};

// A target whose subsystem has a host that must authenticate, and that host.
struct Secured {
  explicit Secured(core::AuthenticatedHost rules = {}) {
    world.target.dhchap_crypto = &crypto;
    rules.nqn = World::kHostNqn;
    rules.keys = {host_key, controller_key};
    world.subsystem.set_allowed_hosts(false, {}, {rules});
  }
  Answer connect() { return host.connect(); }
  Prover prover(Wire& wire) { return {wire, World::kHostNqn, host.subnqn}; }
  Prover admin() { return prover(host.admin); }
  void bring_up_admin() {
    REQUIRE(connect().ok());
    admin().authenticate(host_key);
    REQUIRE(host.enable().ok());
  }
  uint64_t failures(AuthenticationFailure failure) const {
    return world.target.counters.failed_authentications[static_cast<size_t>(failure)];
  }
  bool logged(const std::string& text) const {
    return std::ranges::any_of(world.events,
                               [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }

  Key host_key = key_of('h');
  Key controller_key = key_of('c');
  auth::ImmediateCrypto crypto;
  World world;
  Host host{world};
};

TEST_CASE("host that need not authenticate: Connect says so, and there is nothing to authenticate") {
  World world;
  Host host(world);
  CHECK((host.connect().result >> 16) == 0);
  CHECK(host.admin.send(send_command(72), negotiate()).status == NVME_SC_CMD_SEQ_ERROR);
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
  CHECK(w.host.admin.disconnected());
  CHECK(w.failures(AuthenticationFailure::WrongResponse) == 1);
  CHECK(w.logged("another key than \"key_file\""));
  CHECK(w.world.disk_1.seen.empty());
}

TEST_CASE("host whose key could not be read by the target: Authentication Failed") {
  Secured w;
  w.world.subsystem.set_allowed_hosts(false, {}, {{.nqn = World::kHostNqn, .keys = {}}});
  REQUIRE(w.connect().ok());
  Prover prover = w.admin();
  prover.begin();
  REQUIRE(prover.send(prover.reply(w.host_key)).ok());
  prover.expect_failure(AuthExplanation::AuthenticationFailed);
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

TEST_CASE("two keys of a host are valid while both are listed, and with which the host came is known") {
  Secured w;
  const Key next_key = key_of('h');
  core::AuthenticatedHost present{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}};
  core::AuthenticatedHost next{.nqn = World::kHostNqn, .keys = {next_key, nullptr}};
  w.world.subsystem.set_allowed_hosts(false, {}, {present, next});
  w.bring_up_admin();
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(next_key);
  CHECK(w.host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
  CHECK(core::same(*w.host.controller().authentication()->keys().host, *w.host_key));

  // The former key goes: who is authenticated stays, until the operator wants it otherwise.
  w.world.subsystem.set_allowed_hosts(false, {}, {next});
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
  Secured w;
  const Key next_key = key_of('h');
  core::AuthenticatedHost present{.nqn = World::kHostNqn, .keys = {w.host_key, nullptr}};
  core::AuthenticatedHost next{.nqn = World::kHostNqn, .keys = {next_key, nullptr}};
  w.world.subsystem.set_allowed_hosts(false, {}, {present, next});
  w.bring_up_admin();
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(next_key);
  w.world.subsystem.set_allowed_hosts(false, {}, {present});
  CHECK(w.world.subsystem.disconnect_former_keys() == 1);
  CHECK(w.host.io(1).disconnected());
}

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

TEST_CASE("a queue whose host fails to authenticate again executes nothing more, before its host hears of that, too") {
  Secured w;
  w.bring_up_admin();
  REQUIRE(w.host.connect_io(1).ok());
  w.prover(w.host.io(1)).authenticate(w.host_key);
  const auto fail_on = [&](Wire& wire) {
    Prover wrong = w.prover(wire);
    wrong.begin();
    REQUIRE(wrong.send(wrong.reply(key_of('h'))).ok());
  };
  SUBCASE("I/O queue") {
    fail_on(w.host.io(1));
    CHECK(w.host.io(1).send(command(nvme_cmd_read, 1), Bytes(512)).status == specific(NVME_SC_AUTH_REQUIRED));
    CHECK(w.world.disk_1.seen.empty());
  }
  SUBCASE("admin queue") {
    fail_on(w.host.admin);
    CHECK(w.host.identify(NVME_IDENTIFY_CNS_CTRL).status == specific(NVME_SC_AUTH_REQUIRED));
  }
  SUBCASE("a queue that is being ended stays so") {
    SlowCrypto slow;
    Wire& io = w.host.io(1);
    Prover wrong = w.prover(io);
    wrong.begin({1}, {0});
    w.world.target.dhchap_crypto = &slow;
    const Bytes reply = wrong.reply(key_of('h'));
    io.post(send_command(reply.size()), reply);
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
    for (Sqe sqe : {send_command(72), receive_command(72)}) {
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
  CHECK(w.host.admin.send(receive_command(), Bytes(kMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
  REQUIRE(w.admin().send(negotiate({1}, {0})).ok());
  CHECK(w.host.admin.send(receive_command(47), Bytes(47)).status == NVME_SC_INVALID_FIELD);
  const Answer challenge = w.host.admin.send(receive_command(48), Bytes(48));
  CHECK(challenge.ok());
  CHECK(challenge.as<nvme::DhchapChallenge>().hl == 32);
  CHECK(w.host.admin.send(receive_command(), Bytes(kMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
}

TEST_CASE("while a worker has the transaction: Authentication Send waits for it, more commands are refused") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  REQUIRE(w.connect().ok());
  const Bytes message = negotiate({1}, {0});
  const size_t sent = w.host.admin.post(send_command(message.size()), message);
  CHECK(!w.host.admin.answered(sent));
  CHECK(w.host.admin.send(send_command(message.size()), message).status == NVME_SC_CMD_SEQ_ERROR);
  CHECK(w.host.admin.send(receive_command(), Bytes(kMessageBytes)).status == NVME_SC_CMD_SEQ_ERROR);
  slow.work();
  CHECK(w.host.admin.take(sent).ok());
  Prover prover = w.admin();
  prover.take_challenge(prover.receive());
  const Bytes reply = prover.reply(w.host_key);
  const size_t replied = w.host.admin.post(send_command(reply.size()), reply);
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
  const size_t replied = w.host.admin.post(send_command(reply.size()), reply);
  w.world.subsystem.disconnect_all("the operator has removed it");
  CHECK(w.host.admin.disconnected());
  slow.work();
  CHECK(w.host.admin.answered(replied));
  CHECK(w.host.admin.drops(property_get(NVME_REG_CSTS)));
}

TEST_CASE("a host that takes too long is disconnected; Keep Alive does not help it") {
  Secured w;
  REQUIRE(w.host.connect(World::kNqn, 5000).ok());
  const auto now = core::Target::Clock::now();
  w.world.target.expire(now + std::chrono::milliseconds(4000));
  CHECK(!w.host.admin.disconnected());
  w.host.admin.queue.saw_command = true;
  w.world.target.expire(now + std::chrono::milliseconds(6000));
  CHECK(w.host.admin.disconnected());
  CHECK(w.failures(AuthenticationFailure::TimedOut) == 1);
}

TEST_CASE("a host without Keep Alive has two minutes") {
  Secured w;
  REQUIRE(w.connect().ok());
  const auto now = core::Target::Clock::now();
  w.world.target.expire(now + std::chrono::seconds(119));
  CHECK(!w.host.admin.disconnected());
  w.world.target.expire(now + std::chrono::seconds(121));
  CHECK(w.host.admin.disconnected());
}

TEST_CASE("a host that waits for a worker is not too late") {
  Secured w;
  SlowCrypto slow;
  w.world.target.dhchap_crypto = &slow;
  REQUIRE(w.host.connect(World::kNqn, 5000).ok());
  const Bytes message = negotiate({1}, {0});
  const size_t sent = w.host.admin.post(send_command(message.size()), message);
  w.host.admin.queue.saw_command = false;
  w.world.target.expire(core::Target::Clock::now() + std::chrono::seconds(60));
  CHECK(!w.host.admin.disconnected());
  slow.work();
  CHECK(w.host.admin.answered(sent));
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

TEST_CASE("a host that begins again and again is disconnected") {
  Secured w;
  REQUIRE(w.connect().ok());
  for (uint32_t i = 0; i < core::limits::kMaxNegotiations; ++i) w.admin().begin();
  REQUIRE(w.admin().send(negotiate()).ok());
  w.admin().expect_failure(AuthExplanation::IncorrectMessage);
}

TEST_CASE("failures of an address: their answers are delayed, then its hosts are refused, then let in again") {
  using core::FailedAttempts;
  Secured w;
  for (unsigned i = 0; i < FailedAttempts::kMost; ++i) {
    Host stranger(w.world);
    REQUIRE(stranger.connect().ok());
    const Bytes message = negotiate({9});
    const size_t sent = stranger.admin.post(send_command(message.size()), message);
    CHECK(stranger.admin.answered(sent) == (i == 0));
    w.world.target.expire(core::Target::Clock::now() + FailedAttempts::kLongestDelay);
    CHECK(stranger.admin.answered(sent));
  }
  Host honest(w.world);
  const Answer refused = honest.connect();
  CHECK(refused.status == specific(NVME_SC_CONNECT_CTRL_BUSY));
  CHECK(!refused.do_not_retry);
  CHECK(w.world.target.failed_attempts.refused(core::Target::Clock::now()) == 1);
  CHECK(!w.world.target.failed_attempts.is_refused("192.0.2.7", core::Target::Clock::now() + std::chrono::seconds(6)));
  CHECK(!w.world.target.failed_attempts.is_refused("192.0.2.8", core::Target::Clock::now()));
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

TEST_CASE("a target that cannot authenticate lets no host in that must") {
  Secured w;
  w.world.target.dhchap_crypto = nullptr;
  CHECK(w.connect().status == specific(NVME_SC_CONNECT_CTRL_BUSY));
}

}  // namespace
}  // namespace nvmf::test
