#include "target/auth/secure_heap.h"

#include <openssl/crypto.h>

#include <stdexcept>

namespace nvmf::auth {
namespace {

// Not to be locked into memory is no reason to do without it, as with Secret: OpenSSL says 2 then.
bool initialize() {
  constexpr size_t kLeastBytes = 64;
  return CRYPTO_secure_malloc_init(kSecureHeapBytes, kLeastBytes) != 0;
}

}  // namespace

void use_secure_heap() {
  static const bool is_usable = initialize();
  if (!is_usable) throw std::runtime_error("OpenSSL has no memory for secrets");
}

}  // namespace nvmf::auth
