// What DH-HMAC-CHAP asks of cryptography: NVMe Base 2.1, section 8.3.4.5. The core knows neither secrets nor OpenSSL:
// target/auth implements this.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/nvme/authentication.h"

namespace nvmf::core {

// A secret of a host or of a subsystem. Any thread.
class DhchapKey {
 public:
  virtual ~DhchapKey() = default;
  // Tells keys apart and says nothing about the secret: equal for equal keys, for messages.
  virtual const std::string& fingerprint() const = 0;
};

inline bool same(const DhchapKey& a, const DhchapKey& b) { return a.fingerprint() == b.fingerprint(); }

// Two secrets that are used together. A host may have several such pairs, each of which lets it in.
struct HostKeys {
  std::shared_ptr<const DhchapKey> host;        // with which the host proves that it is the host
  std::shared_ptr<const DhchapKey> controller;  // the other way round; null: the controller cannot prove anything
};

// All of a host, and what the operator wants it to use.
struct HostCredentials {
  std::vector<HostKeys> keys;
  std::optional<nvme::DhchapHash> hash;  // none: the strongest that the host offers
  std::optional<nvme::DhGroup> group;    // none: the smallest that the host offers, NULL last

  bool has(const DhchapKey& host_key) const {
    return std::ranges::any_of(
        keys, [&](const HostKeys& pair) { return pair.host != nullptr && same(*pair.host, host_key); });
  }
};

// One authentication transaction: who takes part, and the values of its messages, in their order.
struct DhchapTransaction {
  // The secret part of the controller's DH value.
  class DhExponent {
   public:
    virtual ~DhExponent() = default;
  };
  enum class Verdict : uint8_t {
    Right,            // `matched` has the pair of keys with which R1 was made
    WrongResponse,    // no key of the host gives this R1
    InvalidDhValue,   // the host's DH value is none of the group
    NoControllerKey,  // the host asks for R2, and the pair with which R1 was made has no key for that
    Failed,           // OpenSSL cannot do it
  };

  std::string hostnqn;
  std::string subsysnqn;  // as the host named the subsystem in Connect
  std::string address;    // the host's, without a port: the work of each address has its turn
  uint16_t t_id = 0;
  nvme::DhchapHash hash = nvme::DhchapHash::Sha256;
  nvme::DhGroup group = nvme::DhGroup::Null;

  // DH-HMAC-CHAP_Challenge.
  uint32_t s1 = 0;
  std::vector<uint8_t> c1;
  std::vector<uint8_t> controller_dh_value;  // empty with the group NULL
  std::unique_ptr<DhExponent> exponent;

  // DH-HMAC-CHAP_Reply.
  std::vector<uint8_t> r1;
  std::vector<uint8_t> c2;  // empty: the host does not ask for R2
  uint32_t s2 = 0;
  std::vector<uint8_t> host_dh_value;

  // What comes of the reply.
  std::vector<HostKeys> keys;
  Verdict verdict = Verdict::Failed;
  HostKeys matched;
  std::vector<uint8_t> r2;
};

// Does the work on another thread. `transaction` belongs to it from the call until `done`, which is called once, on the
// control thread, now or later. False: too much work of the transaction's address waits already; nothing is done, and
// `done` is not called.
class DhchapCrypto {
 public:
  virtual ~DhchapCrypto() = default;
  // Sets c1, controller_dh_value and exponent; c1 stays empty when it cannot.
  [[nodiscard]] virtual bool make_challenge(DhchapTransaction& transaction, std::function<void()> done) = 0;
  // Sets verdict, and where that is Right, matched and r2. Forgets `exponent` and `keys`.
  [[nodiscard]] virtual bool check_reply(DhchapTransaction& transaction, std::function<void()> done) = 0;
};

}  // namespace nvmf::core
