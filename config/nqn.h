// NVMe Qualified Names (NVMe Base specification 2.1, section 4.7).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace nvmf::config {

// An NQN has at most this many bytes, without the NUL that ends it in the protocol.
inline constexpr size_t kMaxNqnBytes = 223;

// The discovery subsystem's well-known name: right in the protocol, never a subsystem's or a host's.
inline constexpr std::string_view kDiscoveryNqn = "nqn.2014-08.org.nvmexpress.discovery";

// Why a name is not an NQN.
struct NqnFault {
  std::string problem;
  std::string remedy;
};

// Checks that `nqn` is a name for a subsystem or a host, of one of the two forms
//   nqn.YYYY-MM.REVERSE.DOMAIN:NAME
//   nqn.2014-08.org.nvmexpress:uuid:XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX
// and not the discovery subsystem's. Returns what is wrong, or nothing.
std::optional<NqnFault> check_nqn(std::string_view nqn);

// Whether a subsystem or a host can have that name although it need not be an NQN: 1 to 223 bytes without control
// characters, and not the discovery subsystem's name. The Linux kernel's target serves such names and lets such hosts
// in; its host asks for them, and calls itself so.
bool can_be_served_as(std::string_view name);

// Whether `text` is a UUID in its form of 8-4-4-4-12 hexadecimal digits.
bool is_uuid(std::string_view text);

}  // namespace nvmf::config
