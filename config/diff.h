// What a running target has to change to apply another config.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace nvmf::config {

// Points into both configs, which must outlive it. Subsystems are the same when their NQN is, namespaces when subsystem
// and NSID are, ports when their id and address are.
struct Difference {
  struct SubsystemChange {
    const Subsystem* before = nullptr;
    const Subsystem* after = nullptr;
  };
  struct NamespaceChange {
    const Subsystem* subsystem = nullptr;  // of the config that has the namespace; of the new config when both have it
    const Namespace* before = nullptr;     // null: the namespace is new
    const Namespace* after = nullptr;      // null: the namespace is removed
    bool same_device = false;              // device and identifiers stay, only policies change
  };

  const Config* before = nullptr;  // null, and nothing below, in a Difference that diff() has not made
  const Config* after = nullptr;

  // Changes that need a restart, a sentence each. When there is any, no change may be applied.
  std::vector<std::string> needs_restart;

  std::vector<const Port*> ports_removed;
  std::vector<const Port*> ports_added;
  std::vector<const Port*> ports_changed;  // of the new config: another DSCP
  std::vector<const Subsystem*> subsystems_removed;
  std::vector<const Subsystem*> subsystems_added;
  std::vector<SubsystemChange> subsystems_changed;  // allowed hosts, ports, limits
  // Including those of subsystems that are added and removed.
  std::vector<NamespaceChange> namespaces_removed;
  std::vector<NamespaceChange> namespaces_added;
  std::vector<NamespaceChange> namespaces_changed;
  bool limits_changed = false;
  bool log_level_changed = false;
  bool shutdown_timeout_changed = false;
};

Difference diff(const Config& running, const Config& wanted);

// A line for each change, in the order in which the changes are applied, with the values that change.
std::vector<std::string> describe(const Difference& difference);

}  // namespace nvmf::config
