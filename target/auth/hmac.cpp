#include "target/auth/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace nvmf::auth {
namespace {

const char* name_of(nvme::DhchapHash which) {
  switch (which) {
    case nvme::DhchapHash::Sha256:
      return "SHA256";
    case nvme::DhchapHash::Sha384:
      return "SHA384";
    case nvme::DhchapHash::Sha512:
      return "SHA512";
  }
  throw std::runtime_error("there is no such hash function");
}

void check(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot compute a hash");
}

}  // namespace

Secret hash(nvme::DhchapHash which, std::span<const uint8_t> bytes) {
  const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> function(EVP_MD_fetch(nullptr, name_of(which), nullptr),
                                                                 EVP_MD_free);
  check(function != nullptr);
  Secret digest(nvme::hash_length_bytes(which));
  check(EVP_Digest(bytes.data(), bytes.size(), digest.bytes().data(), nullptr, function.get(), nullptr) == 1);
  return digest;
}

Hmac::Hmac(nvme::DhchapHash which, std::span<const uint8_t> key)
    : context_(nullptr), length_bytes_(nvme::hash_length_bytes(which)) {
  const char* const name = name_of(which);
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr), EVP_MAC_free);
  check(mac != nullptr);
  context_ = EVP_MAC_CTX_new(mac.get());
  const std::array parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(name), 0),  // NOLINT: it is only read
      OSSL_PARAM_construct_end()};
  if (context_ != nullptr && EVP_MAC_init(context_, key.data(), key.size(), parameters.data()) == 1) return;
  EVP_MAC_CTX_free(context_);
  check(false);
}

Hmac::~Hmac() { EVP_MAC_CTX_free(context_); }

void Hmac::add(std::span<const uint8_t> bytes) { check(EVP_MAC_update(context_, bytes.data(), bytes.size()) == 1); }

void Hmac::add(std::string_view text) { add({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

Secret Hmac::result() {
  Secret digest(length_bytes_);
  size_t written = 0;
  check(EVP_MAC_final(context_, digest.bytes().data(), &written, digest.size()) == 1 && written == digest.size());
  return digest;
}

}  // namespace nvmf::auth
