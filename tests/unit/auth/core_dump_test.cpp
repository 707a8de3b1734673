// A core dump has no secret: the memory of this process that would be in one is searched, while OpenSSL works with the
// secret and afterwards.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "target/auth/dhchap_key.h"
#include "target/auth/dhchap_response.h"
#include "target/auth/diffie_hellman.h"
#include "target/auth/hmac.h"
#include "target/auth/secret.h"
#include "target/auth/secure_heap.h"

namespace nvmf::auth {
namespace {

using nvme::DhGroup;

// Sanitizers map terabytes.
bool can_search() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr bool kCan = false;
#elif defined(__has_feature)
  constexpr bool kCan = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
  constexpr bool kCan = true;
#endif
  if (!kCan) MESSAGE("skipped: with a sanitizer there is too much memory to search");
  return kCan;
}

// The mappings that a core dump has: readable, and without MADV_DONTDUMP (proc(5), smaps).
std::vector<std::pair<uintptr_t, uintptr_t>> dumped_mappings() {
  std::vector<std::pair<uintptr_t, uintptr_t>> mappings;
  std::ifstream maps("/proc/self/smaps");
  std::pair<uintptr_t, uintptr_t> present;
  char rights[8] = "";
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %7s", &begin, &end, rights) == 3)
      present = {begin, end};
    else if (line.starts_with("VmFlags:") && rights[0] == 'r' && line.find(" dd") == std::string::npos)
      mappings.push_back(present);
  }
  return mappings;
}

// How often the bytes are in the memory that a core dump has. It is read into memory that is not.
size_t copies_in_core_dump(std::span<const uint8_t> bytes) {
  constexpr size_t kPieceBytes = 1u << 20;
  Secret piece(kPieceBytes);
  const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  REQUIRE(memory >= 0);
  size_t copies = 0;
  for (const auto& [begin, end] : dumped_mappings()) {
    for (uintptr_t at = begin; at < end; at += kPieceBytes - bytes.size() + 1) {
      const ssize_t got = pread(memory, piece.bytes().data(), std::min(kPieceBytes, end - at), static_cast<off_t>(at));
      if (got <= 0) break;  // [vvar]
      const auto* from = piece.bytes().data();
      const auto* const to = from + got;
      while ((from = static_cast<const uint8_t*>(
                  memmem(from, static_cast<size_t>(to - from), bytes.data(), bytes.size()))) != nullptr) {
        ++copies;
        ++from;
      }
    }
  }
  close(memory);
  return copies;
}

// As OpenSSL has numbers in memory.
Secret reversed(std::span<const uint8_t> bytes) {
  Secret other(bytes.size());
  std::ranges::reverse_copy(bytes, other.bytes().data());
  return other;
}

Secret random_secret(size_t length_bytes) { return DhchapKey::generate(length_bytes, {})->transformed(""); }

TEST_CASE("a copy in ordinary memory would be found") {
  if (!can_search()) return;
  const Secret secret = random_secret(32);
  CHECK(copies_in_core_dump(secret.bytes()) == 0);
  const std::vector<uint8_t> copy(secret.bytes().begin(), secret.bytes().end());
  CHECK(copies_in_core_dump(secret.bytes()) == 1);
  CHECK(copy.size() == 32);
}

TEST_CASE("the key of an HMAC is in no core dump, before and after the result") {
  if (!can_search()) return;
  for (const auto which : {nvme::DhchapHash::Sha256, nvme::DhchapHash::Sha384, nvme::DhchapHash::Sha512}) {
    const Secret key = random_secret(48);
    Hmac hmac(which, key.bytes());
    CHECK(copies_in_core_dump(key.bytes()) == 0);
    hmac.add("message");
    CHECK(copies_in_core_dump(key.bytes()) == 0);
    const Secret result = hmac.result();
    CHECK(copies_in_core_dump(key.bytes()) == 0);
    CHECK(copies_in_core_dump(result.bytes()) == 0);
  }
}

TEST_CASE("what two DH exponents share is in no core dump") {
  if (!can_search()) return;
  const DhExponent exponent(DhGroup::Ffdhe2048);
  const auto shared = exponent.shared_with(DhExponent(DhGroup::Ffdhe2048).value());
  REQUIRE(shared);
  CHECK(copies_in_core_dump(reversed(shared->bytes().first(64)).bytes()) == 0);
  CHECK(copies_in_core_dump(shared->bytes().first(64)) == 0);
}

TEST_CASE("OpenSSL has the exponents that it makes in its secure heap, which has room for many") {
  use_secure_heap();
  for (const DhGroup group : {DhGroup::Ffdhe2048, DhGroup::Ffdhe8192}) {
    const DhExponent first(group);
    const size_t before = CRYPTO_secure_used();
    const DhExponent second(group);
    CHECK(CRYPTO_secure_used() > before);
    CHECK(CRYPTO_secure_used() - before <= kSecureExponentBytes);
  }
}

TEST_CASE("nothing of a transaction stays where a core dump has it") {
  if (!can_search()) return;
  const auto key = DhchapKey::generate(32, nvme::DhchapHash::Sha256);
  const Secret text = key->text();
  const auto parsed = DhchapKey::parse({reinterpret_cast<const char*>(text.bytes().data()), text.size()});
  core::DhchapTransaction transaction;
  transaction.hostnqn = "nqn.host";
  transaction.subsysnqn = "nqn.subsystem";
  transaction.group = DhGroup::Ffdhe2048;
  make_challenge(transaction);
  transaction.host_dh_value = DhExponent(DhGroup::Ffdhe2048).value();
  transaction.r1.resize(32);
  transaction.keys = {{parsed, parsed}};
  check_reply(transaction);
  CHECK((transaction.verdict == core::DhchapTransaction::Verdict::WrongResponse));
  const Secret transformed = key->transformed("nqn.host");
  CHECK(copies_in_core_dump(transformed.bytes()) == 0);
  CHECK(copies_in_core_dump(text.bytes().subspan(10, 40)) == 0);
}

}  // namespace
}  // namespace nvmf::auth
