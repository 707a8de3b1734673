#include "target/daemon/wildcard_ports.h"

#include <algorithm>
#include <set>
#include <string>

namespace nvmf::daemon {

std::vector<core::Port> ports_meant(const core::Port& port, const std::vector<core::Port>& ports,
                                    const std::vector<InterfaceAddress>& addresses) {
  if (!port.wildcard) return {port};
  std::vector<core::Port> meant;
  std::set<std::string> taken;
  for (const core::Port& other : ports)
    if (!other.wildcard && other.service == port.service) taken.insert(other.address);
  for (const auto& [address, interface] : addresses) {
    const bool is_ipv6 = address.find(':') != std::string::npos;
    if (is_ipv6 != port.ipv6 || !is_for_hosts(address) || !taken.insert(address).second) continue;
    meant.push_back(port);
    meant.back().address = address;
    meant.back().wildcard = false;
  }
  return meant;
}

}  // namespace nvmf::daemon
