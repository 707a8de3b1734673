// Which host has authenticated with which host identifier. Reservations know hosts by their identifier alone, and that
// is a mere claim: any host can send any in Connect. So an identifier with which a host has authenticated is that
// host's: no other host NQN may come with it. Control thread.
//
// The specification asks for no more than unique identifiers (NVMe Base 2.1, Host Identifier), and the kernel's target
// checks nothing. Linux hosts have one identifier for each host NQN.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "target/core/subsystem/host_identity.h"

namespace nvmf::core {

class HostIdOwners {
 public:
  // Of one host: the last with which it has authenticated.
  static constexpr size_t kMostOfHost = 4;
  using IsKnown = std::function<bool(const std::string& hostnqn)>;

  void authenticated(const HostIdentity& host);
  // Hosts that are not `known` any more own nothing.
  void forget_unknown(const IsKnown& known);
  // The NQN of another host whose identifier it is; none: nobody else's.
  std::optional<std::string> other_owner(const HostIdentity& host, const IsKnown& known) const;

 private:
  std::map<std::string, std::vector<std::array<uint8_t, 16>>> ids_;  // by host NQN; the last is the newest
};

}  // namespace nvmf::core
