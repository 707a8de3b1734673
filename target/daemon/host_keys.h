// The keys of the config's hosts, read from their files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {

struct HostKeyFiles {
  // By the subsystem's NQN. A host whose key cannot be read is there without a key: it must authenticate, and cannot.
  std::map<std::string, std::vector<core::AuthenticatedHost>> hosts;
  // Each names the place in the config, the file and the remedy.
  std::vector<std::string> faults;
};

// Reads the files: may block. Any thread.
HostKeyFiles read_host_keys(const config::Config& config);

// With the same keys and rules for the same hosts.
bool same_hosts(const std::vector<core::AuthenticatedHost>& a, const std::vector<core::AuthenticatedHost>& b);

}  // namespace nvmf::daemon
