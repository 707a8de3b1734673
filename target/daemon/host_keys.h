// The keys of the config's hosts, read from their files.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::daemon {

// An entry in the config's "hosts", known by its host and its files.
struct HostEntry {
  std::string subsystem;
  std::string host;
  std::string key_file;
  std::optional<std::string> controller_key_file;
  friend auto operator<=>(const HostEntry&, const HostEntry&) = default;  // NOLINT: clang-tidy 14 sees a 0
};

// A key file that could not be read.
struct KeyFault {
  enum class Outcome : uint8_t {
    KeptKeys,  // the host goes on with the keys that were read before
    NoKeys,    // the entry was there before, too, without keys: the host cannot authenticate with it
    NewEntry,  // the entry was not there before: nor can it
  };
  HostEntry entry;
  std::string text;  // names the place in the config, the host, the file and the remedy
  Outcome outcome;
};
// The text, and what becomes of the host: a sentence.
std::string to_string(const KeyFault& fault);

struct HostKeyFiles {
  // By the subsystem's NQN. A host whose key cannot be read is there without a key: it must authenticate, and cannot.
  std::map<std::string, std::vector<core::AuthenticatedHost>> hosts;
  // The same keys by their entries.
  std::map<HostEntry, core::HostKeys> keys;
  std::vector<KeyFault> faults;
};

// Reads the files: may block. Any thread. An entry that `former` has, and whose files cannot be read now, keeps its
// keys.
HostKeyFiles read_host_keys(const config::Config& config, const HostKeyFiles& former);

// With the same keys and rules for the same hosts.
bool same_hosts(const std::vector<core::AuthenticatedHost>& a, const std::vector<core::AuthenticatedHost>& b);

}  // namespace nvmf::daemon
