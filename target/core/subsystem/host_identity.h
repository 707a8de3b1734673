// Who a host says that it is, in Connect: NVMe Base 2.0, section 6.3.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace nvmf::core {

struct HostIdentity {
  std::string nqn;
  std::array<uint8_t, 16> id{};
  friend bool operator==(const HostIdentity&, const HostIdentity&) = default;
};

}  // namespace nvmf::core
