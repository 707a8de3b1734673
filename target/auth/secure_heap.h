// OpenSSL's own memory for secrets, CRYPTO_secure_malloc(3): it is in no core dump, and is not swapped out where the
// limits allow that. OpenSSL takes it for the private part of DH values, once it is there.
#pragma once

#include <cstddef>

namespace nvmf::auth {

// Room for all that hosts can have under way: a DH exponent takes kSecureExponentBytes at most.
inline constexpr size_t kSecureHeapBytes = 4u << 20;
inline constexpr size_t kSecureExponentBytes = 64;
static_assert(kSecureHeapBytes / kSecureExponentBytes >= 65'536);  // queues that authenticate at once

// Has OpenSSL use it from now on. Any thread, any number of times. Throws std::runtime_error when it is not to be had.
void use_secure_heap();

}  // namespace nvmf::auth
