// The first half of a change: opens the devices of new namespaces and chooses their peer memory, before hosts see a
// change. Devices and files that are unavailable are found here. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "target/daemon/changes.h"
#include "target/daemon/storage.h"

namespace nvmf::daemon {

// Why namespaces of the config are not served, by NQN and NSID.
using MissingNamespaces = std::map<std::pair<std::string, uint32_t>, std::string>;

// Points into the config that it was staged for.
struct StagedNamespaces {
  struct Added {
    const config::Subsystem* subsystem;
    std::unique_ptr<ServedNamespace> space;
  };
  struct Changed {
    const config::Subsystem* subsystem;
    const config::Namespace* wanted;
    PeerMemoryChoice p2p;
  };
  std::vector<Added> added;  // including replacements
  std::vector<Changed> changed;
};

class Staging {
 public:
  using Task = boost::asio::awaitable<void>;
  enum class Missing : uint8_t { All, ThatHaveTheirDevice };

  Staging(Storage& storage, const Changes& changes) : storage_(storage), changes_(changes) {}

  // Opens new devices, and those that were missing. None: a new device is unavailable; `reasons` gets which one and
  // why.
  boost::asio::awaitable<std::optional<StagedNamespaces>> stage(const config::Config& wanted,
                                                                const config::Difference& difference,
                                                                std::vector<std::string>& reasons);
  // Stages namespaces that are neither served nor staged yet. `reasons` gets those that cannot be served, and why.
  Task stage_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged,
                     std::vector<std::string>& reasons);
  // The same as above, and logs the reasons.
  Task report_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged);

  const MissingNamespaces& missing() const { return missing_; }

 private:
  using NamespaceChange = config::Difference::NamespaceChange;

  Task open(const NamespaceChange& change, StagedNamespaces& staged);
  Task change_policies(const NamespaceChange& change, StagedNamespaces& staged);
  bool awaits_device(const NamespaceChange& change) const;

  Storage& storage_;
  const Changes& changes_;
  MissingNamespaces missing_;
};

// The beginning of messages: where the config names a namespace's device, and which namespace that is.
std::string place_of(const config::Config& config, const config::Subsystem& subsystem, const config::Namespace& space);
// The path of the device or file; empty: the namespace needs none.
std::string path_of(const config::Backend& backend);
// When a device node disappears, its device has gone, too; a file that loses its name can still be served.
bool is_gone(const config::Backend& backend);

}  // namespace nvmf::daemon
