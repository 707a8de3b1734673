// By what hosts know a namespace.
#include "target/daemon/namespace_identifiers.h"

#include <doctest/doctest.h>

namespace nvmf::daemon {
namespace {

constexpr std::array<uint8_t, 16> kUuid{1, 2}, kNguid{3, 4}, kOwnUuid{5, 6}, kOwnNguid{7, 8}, kKept{9, 9}, kNone{};
constexpr std::array<uint8_t, 8> kEui64{0xa, 1}, kOwnEui64{0xb, 1}, kNoEui64{};

backend::DeviceInfo ssd() {
  backend::DeviceInfo info;
  info.uuid = kOwnUuid;
  info.nguid = kOwnNguid;
  info.eui64 = kOwnEui64;
  return info;
}

core::NamespaceOptions identified(const config::Namespace& wanted, const backend::DeviceInfo& device,
                                  const std::optional<std::array<uint8_t, 16>>& kept = std::nullopt) {
  core::NamespaceOptions options;
  set_identifiers(options, wanted, device, kept);
  return options;
}

TEST_CASE("the config says nothing: all of the device's") {
  const auto options = identified({}, ssd());
  CHECK(options.uuid == kOwnUuid);
  CHECK(options.nguid == kOwnNguid);
  CHECK(options.eui64 == kOwnEui64);
}

TEST_CASE("the config gives one identifier: nothing is left of the device's") {
  config::Namespace wanted;
  SUBCASE("UUID: the NGUID comes from it") {
    wanted.uuid = kUuid;
    const auto options = identified(wanted, ssd());
    CHECK(options.uuid == kUuid);
    CHECK(options.nguid == kUuid);
    CHECK(options.eui64 == kNoEui64);
  }
  SUBCASE("NGUID") {
    wanted.nguid = kNguid;
    const auto options = identified(wanted, ssd());
    CHECK(options.uuid == kNone);
    CHECK(options.nguid == kNguid);
    CHECK(options.eui64 == kNoEui64);
  }
  SUBCASE("EUI-64: hosts go on knowing the namespace by it") {
    wanted.eui64 = kEui64;
    const auto options = identified(wanted, ssd());
    CHECK(options.uuid == kNone);
    CHECK(options.nguid == kNone);
    CHECK(options.eui64 == kEui64);
  }
  SUBCASE("UUID and NGUID") {
    wanted.uuid = kUuid;
    wanted.nguid = kNguid;
    CHECK(identified(wanted, ssd()).nguid == kNguid);
  }
  CHECK(is_identified(wanted, {}));
}

TEST_CASE("neither gives one: the UUID that was kept, and the NGUID from it") {
  CHECK_FALSE(is_identified({}, {}));
  const auto options = identified({}, {}, kKept);
  CHECK(options.uuid == kKept);
  CHECK(options.nguid == kKept);
  CHECK(options.eui64 == kNoEui64);
}

TEST_CASE("the device has a UUID and no NGUID: the NGUID comes from the UUID, which stays") {
  backend::DeviceInfo device;
  device.uuid = kOwnUuid;
  CHECK(is_identified({}, device));
  const auto options = identified({}, device);
  CHECK(options.uuid == kOwnUuid);
  CHECK(options.nguid == kOwnUuid);
}

}  // namespace
}  // namespace nvmf::daemon
