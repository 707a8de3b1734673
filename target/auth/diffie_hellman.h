// Finite field Diffie-Hellman with the groups of RFC 7919, by OpenSSL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "target/auth/secret.h"
#include "target/core/subsystem/dhchap.h"
#include "target/nvme/authentication.h"

struct evp_pkey_st;

namespace nvmf::auth {

// A random exponent of a group, and its DH value. Takes milliseconds with the largest groups. Any thread, one at a
// time.
class DhExponent final : public core::DhchapTransaction::DhExponent {
 public:
  // Another group than NULL. Throws std::runtime_error when OpenSSL cannot do it.
  explicit DhExponent(nvme::DhGroup group);
  // The same with this exponent, most significant byte first: for tests.
  DhExponent(nvme::DhGroup group, std::span<const uint8_t> exponent);

  // As long as the group's prime, most significant byte first.
  const std::vector<uint8_t>& value() const { return value_; }
  // How many bits of the exponent are not leading zeroes: for tests.
  size_t exponent_bits() const;
  // What both sides share, as long as the group's prime. None: `other` is no DH value of the group (RFC 7919, section
  // 5.1), or OpenSSL cannot do it.
  std::optional<Secret> shared_with(std::span<const uint8_t> other) const;

 private:
  nvme::DhGroup group_;
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  std::unique_ptr<evp_pkey_st, Free> key_;
  std::vector<uint8_t> value_;
};

}  // namespace nvmf::auth
