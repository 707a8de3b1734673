// The hash functions of DH-HMAC-CHAP and HMAC with them (RFC 6234), by OpenSSL.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "target/auth/secret.h"
#include "target/nvme/authentication.h"

struct hmac_ctx_st;

namespace nvmf::auth {

// Throws std::runtime_error when OpenSSL cannot do it, as every function here.
Secret hash(nvme::DhchapHash which, std::span<const uint8_t> bytes);

// HMAC of what add() is given, in this order.
class Hmac {
 public:
  Hmac(nvme::DhchapHash which, std::span<const uint8_t> key);
  ~Hmac();
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  void add(std::span<const uint8_t> bytes);
  void add(std::string_view text);
  // Once, at the end.
  Secret result();

 private:
  hmac_ctx_st* context_;
  size_t length_bytes_;
};

}  // namespace nvmf::auth
