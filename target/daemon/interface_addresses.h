// The IP addresses of this machine.
#pragma once

#include <string>
#include <vector>

namespace nvmf::daemon {

// An IP address that an interface of this machine has, as inet_ntop(3) spells it.
struct InterfaceAddress {
  std::string address;
  std::string interface;
};
std::vector<InterfaceAddress> read_interface_addresses();

// Whether hosts can reach this machine by the address: neither a loopback address nor an IPv6 address of one link.
bool is_for_hosts(const std::string& address);

}  // namespace nvmf::daemon
