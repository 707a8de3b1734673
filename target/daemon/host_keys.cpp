#include "target/daemon/host_keys.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "config/diagnostics.h"
#include "target/auth/key_file.h"

namespace nvmf::daemon {
namespace {

using Key = std::shared_ptr<const core::DhchapKey>;

core::AuthenticatedHost host_of(const config::Host& wanted) {
  core::AuthenticatedHost host;
  host.nqn = wanted.nqn;
  if (wanted.dhchap_hash) host.hash = static_cast<nvme::DhchapHash>(*wanted.dhchap_hash);
  if (wanted.dhchap_group) host.group = static_cast<nvme::DhGroup>(*wanted.dhchap_group);
  return host;
}

bool same_key(const Key& a, const Key& b) { return a == b || (a != nullptr && b != nullptr && core::same(*a, *b)); }

bool same_host(const core::AuthenticatedHost& a, const core::AuthenticatedHost& b) {
  return a.nqn == b.nqn && a.hash == b.hash && a.group == b.group && same_key(a.keys.host, b.keys.host) &&
         same_key(a.keys.controller, b.keys.controller);
}

}  // namespace

HostKeyFiles read_host_keys(const config::Config& config) {
  HostKeyFiles read;
  for (const config::Subsystem& subsystem : config.subsystems) {
    auto& hosts = read.hosts[subsystem.nqn];
    for (const config::Host& wanted : subsystem.hosts) {
      core::AuthenticatedHost host = host_of(wanted);
      try {
        core::HostKeys keys;
        keys.host = auth::read_key_file(wanted.key_file);
        if (wanted.controller_key_file) keys.controller = auth::read_key_file(*wanted.controller_key_file);
        host.keys = std::move(keys);
      } catch (const auth::KeyFileError& error) {
        read.faults.push_back(config::location(config, wanted.position) + ": host " + wanted.nqn + " of subsystem " +
                              subsystem.nqn + ": " + error.what());
      }
      hosts.push_back(std::move(host));
    }
  }
  return read;
}

bool same_hosts(const std::vector<core::AuthenticatedHost>& a, const std::vector<core::AuthenticatedHost>& b) {
  return std::ranges::equal(a, b, same_host);
}

}  // namespace nvmf::daemon
