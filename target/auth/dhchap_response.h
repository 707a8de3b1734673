// The values of DH-HMAC-CHAP: NVMe Base 2.1, sections 8.3.4.5.4 and 8.3.4.5.5 (Base 2.0: 8.13.5.4 and 8.13.5.5). And
// core::DhchapCrypto's work with them, which takes milliseconds with the largest groups.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "target/auth/secret.h"
#include "target/core/subsystem/dhchap.h"
#include "target/nvme/authentication.h"

namespace nvmf::auth {

// Ca: the challenge `c`, augmented with what both sides share of the DH exchange. Throws std::runtime_error when
// OpenSSL cannot do it, as every function here.
Secret augmented_challenge(nvme::DhchapHash hash, std::span<const uint8_t> shared, std::span<const uint8_t> c);

// What R1 and R2 are made of, besides the key. `challenge` is C, or Ca with another group than NULL.
struct ResponseInput {
  nvme::DhchapHash hash;
  std::span<const uint8_t> challenge;
  uint32_t seqnum;
  uint16_t t_id;
  uint8_t sc_c;
  std::string_view hostnqn;
  std::string_view subsysnqn;
};
// R1. `key` is the host's transformed secret.
Secret host_response(std::span<const uint8_t> key, const ResponseInput& input);
// R2. `key` is the controller's transformed secret.
Secret controller_response(std::span<const uint8_t> key, const ResponseInput& input);

// As core::DhchapCrypto says; never throws. Any thread.
void make_challenge(core::DhchapTransaction& transaction) noexcept;
void check_reply(core::DhchapTransaction& transaction) noexcept;

// Does the work at once, on the caller's thread: for tests.
class ImmediateCrypto final : public core::DhchapCrypto {
 public:
  bool make_challenge(core::DhchapTransaction& transaction, std::function<void()> done) override {
    auth::make_challenge(transaction);
    done();
    return true;
  }
  bool check_reply(core::DhchapTransaction& transaction, std::function<void()> done) override {
    auth::check_reply(transaction);
    done();
    return true;
  }
};

}  // namespace nvmf::auth
