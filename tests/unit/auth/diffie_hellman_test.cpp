#include "target/auth/diffie_hellman.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/auth/bytes.h"

namespace nvmf::auth {
namespace {

using nvme::DhGroup;

constexpr DhGroup kGroups[] = {DhGroup::Ffdhe2048, DhGroup::Ffdhe3072, DhGroup::Ffdhe4096, DhGroup::Ffdhe6144,
                               DhGroup::Ffdhe8192};

// RFC 7919, appendix A.1.
std::vector<uint8_t> prime_2048() {
  return bytes_of(
      "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695"
      "A9E13641146433FBCC939DCE249B3EF97D2FE363630C75D8F681B202AEC4617A"
      "D3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935"
      "984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797A"
      "BC0AB182B324FB61D108A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4"
      "AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61"
      "9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005"
      "C58EF1837D1683B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF");
}

TEST_CASE("two sides share the same value, as long as the group's prime") {
  for (const DhGroup group : kGroups) {
    const DhExponent one(group);
    const DhExponent other(group);
    const auto shared = one.shared_with(other.value());
    REQUIRE(shared);
    CHECK(shared->size() == nvme::dh_value_length_bytes(group));
    CHECK(bytes_of(*shared) == bytes_of(*other.shared_with(one.value())));
    CHECK(bytes_of(*shared) != bytes_of(*one.shared_with(one.value())));
  }
}

TEST_CASE("exponents are random numbers of at least 256 bits") {
  for (const DhGroup group : kGroups) {
    size_t longest_bits = 0;
    for (int i = 0; i < 4; ++i) longest_bits = std::max(longest_bits, DhExponent(group).exponent_bits());
    CHECK(longest_bits > 240);  // leading bits may be 0
  }
}

TEST_CASE("values that would make the shared value known are refused") {
  const DhExponent exponent(DhGroup::Ffdhe2048);
  std::vector<uint8_t> value(256);
  CHECK(!exponent.shared_with(value));  // 0
  value.back() = 1;
  CHECK(!exponent.shared_with(value));  // 1
  std::vector<uint8_t> largest = prime_2048();
  CHECK(!exponent.shared_with(largest));  // p
  largest.back() -= 1;
  CHECK(!exponent.shared_with(largest));                          // p - 1
  CHECK(!exponent.shared_with(std::vector<uint8_t>(256, 0xff)));  // above p
}

TEST_CASE("every value between is taken: nothing that takes long is asked about it") {
  const DhExponent exponent(DhGroup::Ffdhe2048);
  std::vector<uint8_t> value(256);
  value.back() = 2;
  CHECK(exponent.shared_with(value));
  std::vector<uint8_t> negative = prime_2048();  // -2 is no square, so that it is outside of the group of order q
  negative.back() -= 2;
  CHECK(exponent.shared_with(negative));
}

TEST_CASE("a value of another length is refused") {
  const DhExponent exponent(DhGroup::Ffdhe2048);
  CHECK(!exponent.shared_with({}));
  CHECK(!exponent.shared_with(std::vector<uint8_t>(255, 2)));
  CHECK(!exponent.shared_with(DhExponent(DhGroup::Ffdhe3072).value()));
}

}  // namespace
}  // namespace nvmf::auth
