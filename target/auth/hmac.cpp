#include "target/auth/hmac.h"

// EVP_MAC would keep a copy of the key in the ordinary heap.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdexcept>

namespace nvmf::auth {
namespace {

const EVP_MD* function_of(nvme::DhchapHash which) {
  switch (which) {
    case nvme::DhchapHash::Sha256:
      return EVP_sha256();
    case nvme::DhchapHash::Sha384:
      return EVP_sha384();
    case nvme::DhchapHash::Sha512:
      return EVP_sha512();
  }
  throw std::runtime_error("there is no such hash function");
}

void check(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot compute a hash");
}

}  // namespace

Secret hash(nvme::DhchapHash which, std::span<const uint8_t> bytes) {
  Secret digest(nvme::hash_length_bytes(which));
  check(EVP_Digest(bytes.data(), bytes.size(), digest.bytes().data(), nullptr, function_of(which), nullptr) == 1);
  return digest;
}

Hmac::Hmac(nvme::DhchapHash which, std::span<const uint8_t> key)
    : context_(HMAC_CTX_new()), length_bytes_(nvme::hash_length_bytes(which)) {
  if (context_ != nullptr &&
      HMAC_Init_ex(context_, key.data(), static_cast<int>(key.size()), function_of(which), nullptr) == 1)
    return;
  HMAC_CTX_free(context_);
  check(false);
}

Hmac::~Hmac() { HMAC_CTX_free(context_); }

void Hmac::add(std::span<const uint8_t> bytes) { check(HMAC_Update(context_, bytes.data(), bytes.size()) == 1); }

void Hmac::add(std::string_view text) { add({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

Secret Hmac::result() {
  Secret digest(length_bytes_);
  unsigned int written = 0;
  check(HMAC_Final(context_, digest.bytes().data(), &written) == 1 && written == digest.size());
  return digest;
}

}  // namespace nvmf::auth
