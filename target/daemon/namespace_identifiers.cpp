#include "target/daemon/namespace_identifiers.h"

#include <algorithm>

namespace nvmf::daemon {
namespace {

template <class Identifier>
bool is_set(const Identifier& identifier) {
  return std::ranges::any_of(identifier, [](uint8_t byte) { return byte != 0; });
}

bool is_identified(const config::Namespace& wanted) { return wanted.uuid || wanted.nguid || wanted.eui64; }

}  // namespace

bool is_identified(const config::Namespace& wanted, const backend::DeviceInfo& device) {
  return is_identified(wanted) || is_set(device.uuid) || is_set(device.nguid) || is_set(device.eui64);
}

void set_identifiers(core::NamespaceOptions& options, const config::Namespace& wanted,
                     const backend::DeviceInfo& device, const std::optional<std::array<uint8_t, 16>>& kept_uuid) {
  if (is_identified(wanted)) {
    options.uuid = wanted.uuid.value_or(config::Uuid{});
    options.nguid = wanted.nguid.value_or(config::Nguid{});
    options.eui64 = wanted.eui64.value_or(config::Eui64{});
  } else {
    options.uuid = kept_uuid.value_or(device.uuid);
    options.nguid = device.nguid;
    options.eui64 = device.eui64;
  }
  if (!is_set(options.nguid)) options.nguid = options.uuid;
}

}  // namespace nvmf::daemon
