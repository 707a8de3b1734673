#include "target/auth/dhchap_response.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "target/auth/dhchap_key.h"
#include "target/auth/diffie_hellman.h"
#include "target/auth/hmac.h"

namespace nvmf::auth {
namespace {

using core::DhchapTransaction;
using Verdict = DhchapTransaction::Verdict;

Secret response(std::span<const uint8_t> key, const ResponseInput& input, std::string_view role,
                std::string_view first_nqn, std::string_view second_nqn) {
  const std::array<uint8_t, 7> numbers = {static_cast<uint8_t>(input.seqnum),
                                          static_cast<uint8_t>(input.seqnum >> 8),
                                          static_cast<uint8_t>(input.seqnum >> 16),
                                          static_cast<uint8_t>(input.seqnum >> 24),
                                          static_cast<uint8_t>(input.t_id),
                                          static_cast<uint8_t>(input.t_id >> 8),
                                          input.sc_c};
  Hmac hmac(input.hash, key);
  hmac.add(input.challenge);
  hmac.add(numbers);
  hmac.add(role);
  hmac.add(first_nqn);
  hmac.add(std::string_view("\0", 1));
  hmac.add(second_nqn);
  return hmac.result();
}

std::vector<uint8_t> plain(const Secret& secret) { return {secret.bytes().begin(), secret.bytes().end()}; }

std::vector<uint8_t> random_bytes(size_t length_bytes) {
  std::vector<uint8_t> bytes(length_bytes);
  if (RAND_bytes(bytes.data(), static_cast<int>(length_bytes)) != 1)
    throw std::runtime_error("OpenSSL has no random numbers");
  return bytes;
}

bool equal(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Secret secret_for(const core::DhchapKey& key, std::string_view nqn) {
  return dynamic_cast<const DhchapKey&>(key).transformed(nqn);
}

// What a reply says, and what it should have said.
class ReplyCheck {
 public:
  ReplyCheck(DhchapTransaction& transaction, std::optional<Secret> shared)
      : transaction_(transaction), shared_(std::move(shared)) {}

  void decide() {
    const core::HostKeys* const right = right_keys();
    if (right == nullptr) {
      transaction_.verdict = Verdict::WrongResponse;
    } else if (!transaction_.c2.empty() && right->controller == nullptr) {
      transaction_.verdict = Verdict::NoControllerKey;
    } else {
      transaction_.matched = *right;
      if (!transaction_.c2.empty()) answer(*right->controller);
      transaction_.verdict = Verdict::Right;
    }
  }

 private:
  // Every key is tried, however early one is right: the time tells nothing.
  const core::HostKeys* right_keys() const {
    const Secret challenge = challenge_of(transaction_.c1);
    const ResponseInput input = input_with(challenge.bytes(), transaction_.s1);
    const core::HostKeys* right = nullptr;
    for (const core::HostKeys& keys : transaction_.keys) {
      if (keys.host == nullptr) continue;
      const Secret key = secret_for(*keys.host, transaction_.hostnqn);
      const bool is_right = equal(host_response(key.bytes(), input).bytes(), transaction_.r1);
      if (is_right && right == nullptr) right = &keys;
    }
    return right;
  }

  void answer(const core::DhchapKey& controller_key) {
    const Secret challenge = challenge_of(transaction_.c2);
    const Secret key = secret_for(controller_key, transaction_.subsysnqn);
    transaction_.r2 = plain(controller_response(key.bytes(), input_with(challenge.bytes(), transaction_.s2)));
  }

  Secret challenge_of(std::span<const uint8_t> c) const {
    return shared_ ? augmented_challenge(transaction_.hash, shared_->bytes(), c) : Secret(c);
  }

  ResponseInput input_with(std::span<const uint8_t> challenge, uint32_t seqnum) const {
    return {transaction_.hash, challenge, seqnum, transaction_.t_id, 0, transaction_.hostnqn, transaction_.subsysnqn};
  }

  DhchapTransaction& transaction_;
  std::optional<Secret> shared_;
};

}  // namespace

Secret augmented_challenge(nvme::DhchapHash which, std::span<const uint8_t> shared, std::span<const uint8_t> c) {
  const Secret session_key = hash(which, shared);
  Hmac hmac(which, session_key.bytes());
  hmac.add(c);
  return hmac.result();
}

Secret host_response(std::span<const uint8_t> key, const ResponseInput& input) {
  return response(key, input, "HostHost", input.hostnqn, input.subsysnqn);
}

Secret controller_response(std::span<const uint8_t> key, const ResponseInput& input) {
  return response(key, input, "Controller", input.subsysnqn, input.hostnqn);
}

void make_challenge(DhchapTransaction& transaction) noexcept {
  try {
    if (transaction.group != nvme::DhGroup::Null) {
      auto exponent = std::make_unique<DhExponent>(transaction.group);
      transaction.controller_dh_value = exponent->value();
      transaction.exponent = std::move(exponent);
    }
    transaction.c1 = random_bytes(nvme::hash_length_bytes(transaction.hash));
  } catch (const std::exception&) {
    transaction.c1.clear();
  }
}

void check_reply(DhchapTransaction& transaction) noexcept {
  transaction.verdict = Verdict::Failed;
  try {
    std::optional<Secret> shared;
    if (transaction.group != nvme::DhGroup::Null) {
      shared = dynamic_cast<const DhExponent&>(*transaction.exponent).shared_with(transaction.host_dh_value);
      if (!shared) transaction.verdict = Verdict::InvalidDhValue;
    }
    if (transaction.group == nvme::DhGroup::Null || shared) ReplyCheck(transaction, std::move(shared)).decide();
  } catch (const std::exception&) {
    transaction.verdict = Verdict::Failed;
  }
  transaction.exponent.reset();
  transaction.keys.clear();
}

}  // namespace nvmf::auth
