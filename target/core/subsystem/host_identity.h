// Who a host says that it is, in Connect: NVMe Base 2.0, section 6.3.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace nvmf::core {

struct HostIdentity {
  std::string nqn;
  std::array<uint8_t, 16> id{};
  friend auto operator<=>(const HostIdentity&, const HostIdentity&) = default;
};

// The address of a QueueLink's peer: "192.0.2.7:41512" without the port.
inline std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

// What a host has sent, for messages: one word, so that it cannot be taken for another part of the message. Control
// characters of ASCII and the characters between words of messages become «\x20»; the log does the same with those that
// are harmful beyond ASCII (config/printable.h).
std::string shown(std::string_view text);

}  // namespace nvmf::core
