#include "target/auth/dhchap_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "target/auth/hmac.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::auth {
namespace {

constexpr std::string_view kPrefix = "DHHC-1:";
constexpr std::string_view kFormat =
    "a key reads DHHC-1:, the transform 00, 01, 02 or 03, a colon, Base64 and a colon; `nvmf-p2p key generate` or "
    "`nvme "
    "gen-dhchap-key` makes one";
constexpr size_t kCrcBytes = 4;
constexpr size_t kFingerprintBytes = 8;

[[noreturn]] void refuse(const std::string& fault) { throw BadKey(fault + ": " + std::string(kFormat)); }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

// CRC-32 as in Ethernet, of the secret: the text ends with it, least significant byte first.
uint32_t crc32(std::span<const uint8_t> bytes) {
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320 & (0 - (crc & 1)));
  }
  return ~crc;
}

std::array<uint8_t, kCrcBytes> crc_bytes(std::span<const uint8_t> secret) {
  const uint32_t crc = crc32(secret);
  return {static_cast<uint8_t>(crc), static_cast<uint8_t>(crc >> 8), static_cast<uint8_t>(crc >> 16),
          static_cast<uint8_t>(crc >> 24)};
}

Secret base64_of(std::span<const uint8_t> bytes) {
  Secret text((bytes.size() + 2) / 3 * 4 + 1);
  const int length = EVP_EncodeBlock(text.bytes().data(), bytes.data(), static_cast<int>(bytes.size()));
  text.shrink(static_cast<size_t>(length));
  return text;
}

// Strict: OpenSSL takes white space and bits that nobody reads, too, so its result must give the same text again.
Secret decoded(std::string_view base64) {
  if (base64.empty() || base64.size() % 4 != 0) refuse("the Base64 part of the key is not complete");
  Secret bytes(base64.size() / 4 * 3);
  const auto* const text = reinterpret_cast<const uint8_t*>(base64.data());
  const int length = EVP_DecodeBlock(bytes.bytes().data(), text, static_cast<int>(base64.size()));
  const auto padding = static_cast<size_t>(std::ranges::count(base64.substr(base64.size() - 2), '='));
  if (length != static_cast<int>(bytes.size())) refuse("the Base64 part of the key has other characters than Base64");
  bytes.shrink(bytes.size() - padding);
  const Secret again = base64_of(bytes.bytes());
  if (again.size() != base64.size() || CRYPTO_memcmp(again.bytes().data(), text, again.size()) != 0)
    refuse("the Base64 part of the key has other characters than Base64");
  return bytes;
}

std::optional<nvme::DhchapHash> transform_from(std::string_view digits) {
  if (digits.size() != 2 || digits[0] != '0' || digits[1] < '0' || digits[1] > '3')
    refuse("the key names a transform that there is not");
  if (digits[1] == '0') return std::nullopt;
  return static_cast<nvme::DhchapHash>(digits[1] - '0');
}

bool is_length(size_t length_bytes) { return length_bytes == 32 || length_bytes == 48 || length_bytes == 64; }

}  // namespace

DhchapKey::DhchapKey(Secret secret, std::optional<nvme::DhchapHash> transform)
    : secret_(std::move(secret)), transform_(transform) {
  // The transform belongs to the key: the same secret with another one is another key.
  Secret marked(secret_.size() + 1);
  marked.bytes()[0] = transform_ ? static_cast<uint8_t>(*transform_) : 0;
  std::ranges::copy(secret_.bytes(), marked.bytes().data() + 1);
  const Secret digest = hash(nvme::DhchapHash::Sha256, marked.bytes());
  constexpr char kDigits[] = "0123456789abcdef";
  for (const uint8_t byte : digest.bytes().first(kFingerprintBytes)) {
    fingerprint_ += kDigits[byte >> 4];
    fingerprint_ += kDigits[byte & 15];
  }
}

std::shared_ptr<const DhchapKey> DhchapKey::parse(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) throw BadKey("there is no key: " + std::string(kFormat));
  if (!text.starts_with(kPrefix)) refuse("the key does not begin with DHHC-1:");
  text.remove_prefix(kPrefix.size());
  if (text.size() < 4 || text[2] != ':' || text.back() != ':') refuse("the key has not all of its parts");
  const auto transform = transform_from(text.substr(0, 2));
  Secret secret = decoded(text.substr(3, text.size() - 4));
  if (secret.size() < kCrcBytes || !is_length(secret.size() - kCrcBytes))
    throw BadKey("the key's secret is not 32, 48 or 64 bytes long: it is not complete");
  const size_t length_bytes = secret.size() - kCrcBytes;
  const auto crc = crc_bytes(secret.bytes().first(length_bytes));
  if (CRYPTO_memcmp(crc.data(), secret.bytes().data() + length_bytes, kCrcBytes) != 0)
    throw BadKey("the key's checksum (CRC-32) is wrong: a character of it has changed");
  secret.shrink(length_bytes);
  return std::shared_ptr<const DhchapKey>(new DhchapKey(std::move(secret), transform));
}

std::shared_ptr<const DhchapKey> DhchapKey::generate(size_t length_bytes, std::optional<nvme::DhchapHash> transform) {
  NVMF_INVARIANT(is_length(length_bytes));
  Secret secret(length_bytes);
  if (RAND_priv_bytes(secret.bytes().data(), static_cast<int>(length_bytes)) != 1)
    throw std::runtime_error("OpenSSL has no random numbers");
  return std::shared_ptr<const DhchapKey>(new DhchapKey(std::move(secret), transform));
}

Secret DhchapKey::text() const {
  Secret bytes(secret_.size() + kCrcBytes);
  std::ranges::copy(secret_.bytes(), bytes.bytes().data());
  std::ranges::copy(crc_bytes(secret_.bytes()), bytes.bytes().data() + secret_.size());
  const Secret base64 = base64_of(bytes.bytes());
  const std::string head = std::string(kPrefix) + "0" + std::to_string(transform_ ? static_cast<int>(*transform_) : 0);
  Secret text(head.size() + 1 + base64.size() + 1);
  uint8_t* end = std::ranges::copy(head, text.bytes().data()).out;
  *end++ = ':';
  end = std::ranges::copy(base64.bytes(), end).out;
  *end = ':';
  return text;
}

Secret DhchapKey::transformed(std::string_view nqn) const {
  if (!transform_) return Secret(secret_.bytes());
  Hmac hmac(*transform_, secret_.bytes());
  hmac.add(nqn);
  hmac.add("NVMe-over-Fabrics");
  return hmac.result();
}

}  // namespace nvmf::auth
