#include "target/auth/diffie_hellman.h"

#include <doctest/doctest.h>

#include <vector>

namespace nvmf::auth {
namespace {

using nvme::DhGroup;

constexpr DhGroup kGroups[] = {DhGroup::Ffdhe2048, DhGroup::Ffdhe3072, DhGroup::Ffdhe4096, DhGroup::Ffdhe6144,
                               DhGroup::Ffdhe8192};

std::vector<uint8_t> bytes_of(const Secret& secret) { return {secret.bytes().begin(), secret.bytes().end()}; }

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

TEST_CASE("values that would make the shared value known are refused") {
  const DhExponent exponent(DhGroup::Ffdhe2048);
  std::vector<uint8_t> value(256);
  CHECK(!exponent.shared_with(value));  // 0
  value.back() = 1;
  CHECK(!exponent.shared_with(value));  // 1
  // Every prime of RFC 7919 begins with 64 ones, and this is above it.
  std::vector<uint8_t> largest(256, 0xff);
  CHECK(!exponent.shared_with(largest));
}

TEST_CASE("a value of another length is refused") {
  const DhExponent exponent(DhGroup::Ffdhe2048);
  CHECK(!exponent.shared_with({}));
  CHECK(!exponent.shared_with(std::vector<uint8_t>(255, 2)));
  CHECK(!exponent.shared_with(DhExponent(DhGroup::Ffdhe3072).value()));
}

}  // namespace
}  // namespace nvmf::auth
