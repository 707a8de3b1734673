#include "target/daemon/served_names.h"

#include <algorithm>
#include <iterator>

namespace nvmf::daemon {
namespace {

bool is_wanted(const std::string& name, const config::Config& config) {
  for (const config::Subsystem& subsystem : config.subsystems)
    for (const config::Namespace& space : subsystem.namespaces)
      if (name == name_of_namespace(subsystem.nqn, space.nsid)) return true;
  return std::ranges::any_of(config.ports, [&](const config::Port& port) {
    const bool is_wildcard = port.address == "0.0.0.0" || port.address == "::";
    return is_wildcard ? name.starts_with(name_of_listener(port.id, ""))
                       : name == name_of_listener(port.id, port.address);
  });
}

}  // namespace

std::string name_of_namespace(const std::string& nqn, uint32_t nsid) {
  return "namespace " + std::to_string(nsid) + " of " + nqn;
}

std::string name_of_listener(uint16_t port_id, const std::string& address) {
  return "port " + std::to_string(port_id) + " on " + address;
}

std::vector<std::string> lost_names(const std::vector<std::string>& former, const std::vector<std::string>& now,
                                    const config::Config& config) {
  std::vector<std::string> lost;
  std::ranges::copy_if(former, std::back_inserter(lost), [&](const std::string& name) {
    return std::ranges::find(now, name) == now.end() && is_wanted(name, config);
  });
  return lost;
}

}  // namespace nvmf::daemon
