#include "target/daemon/host_keys.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

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

core::HostKeys keys_in_files_of(const HostEntry& entry) {
  core::HostKeys keys;
  keys.host = auth::read_key_file(entry.key_file);
  if (entry.controller_key_file) keys.controller = auth::read_key_file(*entry.controller_key_file);
  return keys;
}

// The keys of an entry whose files cannot be read, and what that means.
std::pair<core::HostKeys, KeyFault::Outcome> former_keys_of(const HostEntry& entry, const HostKeyFiles& former) {
  const auto found = former.keys.find(entry);
  if (found == former.keys.end()) return {{}, KeyFault::Outcome::NewEntry};
  return {found->second, found->second.host == nullptr ? KeyFault::Outcome::NoKeys : KeyFault::Outcome::KeptKeys};
}

}  // namespace

std::string to_string(const KeyFault& fault) {
  return fault.text + (fault.outcome == KeyFault::Outcome::KeptKeys
                           ? "; the host goes on with the keys that were read before, until a reload can read the file"
                           : "; the host cannot authenticate until a reload can read the file");
}

HostKeyFiles read_host_keys(const config::Config& config, const HostKeyFiles& former) {
  HostKeyFiles read;
  for (const config::Subsystem& subsystem : config.subsystems) {
    auto& hosts = read.hosts[subsystem.nqn];
    for (const config::Host& wanted : subsystem.hosts) {
      const HostEntry entry{subsystem.nqn, wanted.nqn, wanted.key_file, wanted.controller_key_file};
      core::AuthenticatedHost host = host_of(wanted);
      try {
        host.keys = keys_in_files_of(entry);
      } catch (const auth::KeyFileError& error) {
        const auto [keys, outcome] = former_keys_of(entry, former);
        host.keys = keys;
        read.faults.push_back({entry,
                               config::location(config, wanted.position) + ": host " + wanted.nqn + " of subsystem " +
                                   subsystem.nqn + ": " + error.what(),
                               outcome});
      }
      read.keys[entry] = host.keys;
      hosts.push_back(std::move(host));
    }
  }
  return read;
}

bool same_hosts(const std::vector<core::AuthenticatedHost>& a, const std::vector<core::AuthenticatedHost>& b) {
  return std::ranges::equal(a, b, same_host);
}

}  // namespace nvmf::daemon
