// A target whose subsystem has a host that must authenticate, that host, and its side of a transaction on a wire.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/protocol/dhchap_host.h"
#include "tests/protocol/host.h"

namespace nvmf::test {

using core::AuthenticationFailure;
using nvme::AuthExplanation;
using nvme::AuthId;
using nvme::DhchapHash;
using nvme::DhGroup;

// A new key: of a host ('h'), without a transform, or of a controller.
inline Key key_of(char fill) {
  return auth::DhchapKey::generate(32, fill == 'h' ? std::nullopt : std::optional(DhchapHash::Sha256));
}

// Does the work when told to.
class SlowCrypto final : public core::DhchapCrypto {
 public:
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    if (is_full) return false;
    waiting_ = [&transaction, done = std::move(done)] {
      auth::make_challenge(transaction);
      done();
    };
    return true;
  }
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    if (is_full) return false;
    waiting_ = [&transaction, done = std::move(done)] {
      auth::check_reply(transaction);
      done();
    };
    return true;
  }
  void work() { std::exchange(waiting_, nullptr)(); }
  bool is_full = false;

 private:
  std::function<void()> waiting_;
};

// Sees what a transaction has at the begin of its challenge.
class SeeingCrypto final : public core::DhchapCrypto {
 public:
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    ++challenges;
    seen = &transaction;
    was_fresh = transaction.exponent == nullptr && transaction.r1.empty() && transaction.c2.empty() &&
                transaction.s2 == 0 && transaction.host_dh_value.empty() && transaction.keys.empty() &&
                transaction.matched.host == nullptr && transaction.r2.empty();
    auth::make_challenge(transaction);
    done();
    return true;
  }
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    ++replies;
    auth::check_reply(transaction);
    done();
    return true;
  }
  core::DhchapTransaction* seen = nullptr;
  bool was_fresh = false;
  unsigned challenges = 0;
  unsigned replies = 0;
};

// The host's side of a transaction.
class Prover : public DhchapHost {
 public:
  Prover(Wire& wire, std::string hostnqn, std::string subsysnqn)
      : DhchapHost(std::move(hostnqn), std::move(subsysnqn)), wire_(wire) {}

  Answer send(const Bytes& message) { return wire_.send(auth_send(message.size()), message); }
  Bytes receive() {
    const Answer answer = wire_.send(auth_receive(), Bytes(kAuthMessageBytes));
    REQUIRE(answer.ok());
    return answer.data;
  }

  // AUTH_Negotiate and the challenge.
  void begin(const std::vector<uint8_t>& hashes = {1, 2, 3}, const std::vector<uint8_t>& groups = {0, 1}) {
    REQUIRE(send(negotiate(hashes, groups)).ok());
    const Bytes message = receive();
    REQUIRE(is_message(message, nvme::AuthType::DhHmacChap, AuthId::Challenge));
    take_challenge(message);
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

 private:
  Wire& wire_;
};

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

}  // namespace nvmf::test
