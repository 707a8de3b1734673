// The host's side of DH-HMAC-CHAP, NVMe Base 2.1, section 8.3.4: what it sends and what it makes of the answers. Knows
// no transport, so that protocol tests, the simulation and programs of the lab use it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "target/auth/dhchap_key.h"
#include "target/auth/dhchap_response.h"
#include "target/auth/diffie_hellman.h"
#include "target/nvme/authentication.h"

namespace nvmf::test {

inline constexpr uint16_t kTid = 0x1234;
inline constexpr uint32_t kAuthMessageBytes = 4096;  // room for any message

using Key = std::shared_ptr<const auth::DhchapKey>;
using Message = std::vector<std::byte>;

inline nvme::Sqe authentication_command(uint8_t fctype, uint32_t length_bytes) {
  nvme::AuthenticationCommand fields{};
  fields.opcode = nvme_admin_fabrics;
  fields.fctype = fctype;
  fields.spsp0 = fields.spsp1 = nvme::kSpspNvmeof;
  fields.secp = nvme::kSecpNvmeof;
  fields.length_bytes = length_bytes;
  nvme::Sqe sqe;
  std::memcpy(&sqe, &fields, sizeof sqe);
  return sqe;
}

inline nvme::Sqe auth_send(size_t bytes) {
  return authentication_command(nvme::kFctypeAuthenticationSend, static_cast<uint32_t>(bytes));
}
inline nvme::Sqe auth_receive(uint32_t bytes = kAuthMessageBytes) {
  return authentication_command(nvme::kFctypeAuthenticationReceive, bytes);
}

template <class Structure>
void append(Message& message, const Structure& structure) {
  const auto* const begin = reinterpret_cast<const std::byte*>(&structure);
  message.insert(message.end(), begin, begin + sizeof structure);
}
inline void append(Message& message, const std::vector<uint8_t>& bytes) {
  for (const uint8_t byte : bytes) message.push_back(std::byte{byte});
}

inline std::vector<uint8_t> slice(const Message& message, size_t from, size_t count) {
  std::vector<uint8_t> bytes(count);
  if (count != 0) std::memcpy(bytes.data(), message.data() + from, count);
  return bytes;
}

// AUTH_Negotiate with one protocol descriptor.
inline Message negotiate(const std::vector<uint8_t>& hashes = {1, 2, 3}, const std::vector<uint8_t>& groups = {0, 1},
                         uint8_t sc_c = 0, uint8_t authid = nvme::kDhchapAuthid) {
  nvme::DhchapDescriptor offer{};
  offer.authid = authid;
  offer.halen = static_cast<uint8_t>(hashes.size());
  offer.dhlen = static_cast<uint8_t>(groups.size());
  std::ranges::copy(hashes, offer.hashes);
  std::ranges::copy(groups, offer.groups);
  Message message;
  append(message, nvme::AuthNegotiate{.header = {0, 0, 0, kTid}, .sc_c = sc_c, .napd = 1});
  append(message, offer);
  return message;
}

inline Message success2() {
  Message message;
  append(message,
         nvme::DhchapSuccess2{.header = {1, static_cast<uint8_t>(nvme::AuthId::Success2), 0, kTid}, .reserved6 = {}});
  return message;
}

inline Message failure2() {
  Message message;
  append(message, nvme::AuthFailure{.header = {0, static_cast<uint8_t>(nvme::AuthId::Failure2), 0, kTid},
                                    .reason = nvme::kAuthenticationFailure,
                                    .explanation = 1});
  return message;
}

// Whether the message has this header's identifiers.
inline bool is_message(const Message& message, nvme::AuthType type, nvme::AuthId id) {
  return message.size() >= sizeof(nvme::AuthHeader) && message[0] == static_cast<std::byte>(type) &&
         message[1] == static_cast<std::byte>(id);
}

// One transaction.
class DhchapHost {
 public:
  DhchapHost(std::string hostnqn, std::string subsysnqn)
      : hostnqn_(std::move(hostnqn)), subsysnqn_(std::move(subsysnqn)) {}

  // DH-HMAC-CHAP_Challenge.
  void take_challenge(const Message& message) {
    std::memcpy(&challenge, message.data(), sizeof challenge);
    c1 = slice(message, sizeof challenge, challenge.hl);
    dh_value = slice(message, sizeof challenge + challenge.hl, challenge.dhvlen);
  }

  // DH-HMAC-CHAP_Reply. `c2`: empty: one-way.
  Message reply(const Key& key, std::vector<uint8_t> c2 = {}, uint32_t s2 = 77) {
    const auto hash = static_cast<nvme::DhchapHash>(challenge.hashid);
    const auto group = static_cast<nvme::DhGroup>(challenge.dhgid);
    std::vector<uint8_t> own_value;
    if (group != nvme::DhGroup::Null) {
      const auth::DhExponent exponent = exponent_of(group);
      own_value = exponent.value();
      shared_ = exponent.shared_with(dh_value);
    }
    const auth::Secret secret = key->transformed(hostnqn_);
    const auth::Secret ca = augmented(c1);
    const auth::Secret r1 = auth::host_response(secret.bytes(), input(ca, challenge.seqnum));
    nvme::DhchapReply head{};
    head.header = {1, static_cast<uint8_t>(nvme::AuthId::Reply), 0, kTid};
    head.hl = challenge.hl;
    head.cvalid = c2.empty() ? 0 : 1;
    head.dhvlen = static_cast<uint16_t>(own_value.size());
    head.seqnum = s2;
    c2_ = c2;
    s2_ = s2;
    c2.resize(nvme::hash_length_bytes(hash));
    Message message;
    append(message, head);
    append(message, std::vector<uint8_t>(r1.bytes().begin(), r1.bytes().end()));
    append(message, c2);
    append(message, own_value);
    return message;
  }

  // What R2 must be.
  std::vector<uint8_t> expected_r2(const Key& controller_key) const {
    const auth::Secret secret = controller_key->transformed(subsysnqn_);
    const auth::Secret ca = augmented(c2_);
    const auth::Secret r2 = auth::controller_response(secret.bytes(), input(ca, s2_));
    return {r2.bytes().begin(), r2.bytes().end()};
  }

  std::vector<uint8_t> known_exponent;  // empty: a random one
  nvme::DhchapChallenge challenge{};
  std::vector<uint8_t> c1;
  std::vector<uint8_t> dh_value;

 private:
  auth::DhExponent exponent_of(nvme::DhGroup group) const {
    return known_exponent.empty() ? auth::DhExponent(group) : auth::DhExponent(group, known_exponent);
  }
  auth::Secret augmented(const std::vector<uint8_t>& c) const {
    return shared_ ? auth::augmented_challenge(static_cast<nvme::DhchapHash>(challenge.hashid), shared_->bytes(), c)
                   : auth::Secret(c);
  }
  auth::ResponseInput input(const auth::Secret& ca, uint32_t seqnum) const {
    return {static_cast<nvme::DhchapHash>(challenge.hashid), ca.bytes(), seqnum, kTid, 0, hostnqn_, subsysnqn_};
  }

  std::string hostnqn_;
  std::string subsysnqn_;
  std::optional<auth::Secret> shared_;
  std::vector<uint8_t> c2_;
  uint32_t s2_ = 0;
};

}  // namespace nvmf::test
