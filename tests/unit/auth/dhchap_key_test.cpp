// Keys as text: the vectors are what `nvme gen-dhchap-key` of nvme-cli 2.3 prints for these secrets.
#include "target/auth/dhchap_key.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

#include "tests/unit/auth/bytes.h"

namespace nvmf::auth {
namespace {

using nvme::DhchapHash;

constexpr char kHostNqn[] = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001";

struct Vector {
  size_t length_bytes;
  std::string plain;  // of the secret 00 01 02 ...: gen-dhchap-key --hmac=0
  DhchapHash hash;
  std::string transformed;  // of that secret, transformed for kHostNqn: gen-dhchap-key --hmac=1, 2, 3
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> kVectors = {
      {32, "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:", DhchapHash::Sha256,
       "DHHC-1:01:CLaL/jAMKMoXgYx8Xmn+hfg/Ru5pu6fxenBJVOu4cf3z+K/D:"},
      {48, "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:", DhchapHash::Sha384,
       "DHHC-1:02:GLAERPikGd/Jp1/UMM085Wc7uiFH9FBMmAM9cO35d0Nlve223jX0up/jJ4P8XIko29duTw==:"},
      {64, "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P4zODhA=:",
       DhchapHash::Sha512,
       "DHHC-1:03:eeyGD70Vi/N0TVFo+oDU/kfKXtc5fKIPB99TLxUSz+aM5usPXA8A/ohKfod+ukxStAu2vgyIbOcxgjx1vRc5ucqf4Ic=:"}};
  return kVectors;
}

std::string text_of(const DhchapKey& key) {
  const Secret text = key.text();
  return {text.bytes().begin(), text.bytes().end()};
}

// The key with the transform that its text names, 0 to 3.
std::string with_transform(std::string text, char digit) {
  text[8] = digit;
  return text;
}

std::string fault_of(const std::string& text) {
  try {
    DhchapKey::parse(text);
  } catch (const BadKey& bad) {
    return bad.what();
  }
  return "none";
}

TEST_CASE("a key's text gives its secret, and the secret its text") {
  for (const Vector& vector : vectors()) {
    const auto key = DhchapKey::parse(vector.plain);
    std::vector<uint8_t> secret(vector.length_bytes);
    std::iota(secret.begin(), secret.end(), static_cast<uint8_t>(0));
    CHECK(bytes_of(key->transformed(kHostNqn)) == secret);
    CHECK(key->length_bytes() == vector.length_bytes);
    CHECK(!key->transform());
    CHECK(text_of(*key) == vector.plain);
    CHECK(text_of(*DhchapKey::parse(vector.transformed)) == vector.transformed);
    CHECK(DhchapKey::parse(vector.transformed)->transform() == vector.hash);
  }
}

TEST_CASE("a secret is transformed as nvme-cli transforms it") {
  for (const Vector& vector : vectors()) {
    const char digit = static_cast<char>('0' + static_cast<int>(vector.hash));
    const auto key = DhchapKey::parse(with_transform(vector.plain, digit));
    const auto expected = DhchapKey::parse(with_transform(vector.transformed, '0'));
    CHECK(bytes_of(key->transformed(kHostNqn)) == bytes_of(expected->transformed("")));
    CHECK(bytes_of(key->transformed("nqn.2014-08.org.nvmexpress:other")) != bytes_of(expected->transformed("")));
  }
}

TEST_CASE("space and a line end around a key do not count") {
  CHECK(text_of(*DhchapKey::parse(" " + vectors()[0].plain + "\r\n")) == vectors()[0].plain);
}

TEST_CASE("texts that are no key are refused, and no message quotes the secret") {
  const std::string good = vectors()[0].plain;
  const std::string base64 = good.substr(10, 48);
  const auto refuse = [&](const std::string& text, const std::string& expected) {
    const std::string fault = fault_of(text);
    CHECK_MESSAGE(fault.find(expected) != std::string::npos, text, " -> ", fault);
    CHECK(fault.find(base64.substr(0, 8)) == std::string::npos);
  };
  refuse("", "there is no key");
  refuse("\n", "there is no key");
  refuse(good.substr(0, 9), "not all of its parts");
  refuse("NVMeTLSkey-1:01:" + base64 + ":", "does not begin with DHHC-1:");
  refuse(good.substr(0, good.size() - 1), "not all of its parts");
  refuse("DHHC-1:04:" + base64 + ":", "transform");
  refuse("DHHC-1:1:" + base64 + ":", "not all of its parts");
  refuse("DHHC-1:00:" + base64.substr(1) + ":", "not complete");
  refuse("DHHC-1:00:" + base64.substr(4) + ":", "32, 48 or 64");
  refuse("DHHC-1:00:AAAA:", "32, 48 or 64");
  refuse("DHHC-1:00:====:", "other characters");
  refuse("DHHC-1:00:!" + base64.substr(1) + ":", "other characters");
  refuse("DHHC-1:00: " + base64.substr(1) + ":", "other characters");
  refuse("DHHC-1:00:B" + base64.substr(1) + ":", "CRC-32");
  // The same bytes, with bits in the padding that nobody reads.
  refuse("DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBR==:", "other characters");
}

TEST_CASE("every character of a key counts") {
  const std::string good = vectors()[1].plain;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    CHECK_MESSAGE(fault_of(changed) != "none", "character ", at);
  }
}

TEST_CASE("a fingerprint tells keys apart") {
  const std::string plain = vectors()[0].plain;
  const auto key = DhchapKey::parse(plain);
  CHECK(key->fingerprint().size() == 16);
  CHECK(core::same(*key, *DhchapKey::parse(plain)));
  CHECK(!core::same(*key, *DhchapKey::parse(with_transform(plain, '1'))));
  CHECK(!core::same(*key, *DhchapKey::parse(vectors()[1].plain)));
}

TEST_CASE("generated keys are good, and each is another") {
  for (const size_t length_bytes : {32, 48, 64}) {
    const auto key = DhchapKey::generate(length_bytes, DhchapHash::Sha384);
    const auto again = DhchapKey::parse(text_of(*key));
    CHECK(again->length_bytes() == length_bytes);
    CHECK(again->transform() == DhchapHash::Sha384);
    CHECK(core::same(*key, *again));
    CHECK(!core::same(*key, *DhchapKey::generate(length_bytes, DhchapHash::Sha384)));
  }
}

}  // namespace
}  // namespace nvmf::auth
