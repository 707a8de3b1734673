// The first half of a change: opens what new namespaces need, chooses their peer memory, and rehearses the change,
// before hosts see anything. Whatever can fail fails here. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
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
#include "target/daemon/device_opener.h"
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

  Staging(boost::asio::io_context& io, const core::Target& target, Storage& storage, DeviceOpener& opener,
          const Changes& changes, Events& events)
      : io_(io), target_(target), storage_(storage), opener_(opener), changes_(changes), events_(events) {}

  // Opens what is new, and what was missing, all at once. None: something that is new is unavailable, or the core
  // refuses it. Adds to `reasons` what and why.
  boost::asio::awaitable<std::optional<StagedNamespaces>> stage(const config::Config& wanted,
                                                                const config::Difference& difference,
                                                                std::vector<std::string>& reasons);
  // Stages namespaces that are not served. Logs which cannot be served, and why. Throws std::exception when the core
  // refuses `wanted` itself.
  boost::asio::awaitable<StagedNamespaces> stage_missing(const config::Config& wanted, Missing which);

  // A namespace that was staged could not be served after all.
  void add_missing(const std::string& nqn, uint32_t nsid, std::string why) { missing_[{nqn, nsid}] = std::move(why); }
  const MissingNamespaces& missing() const { return missing_; }

 private:
  // A namespace whose device is to be opened, and what came of it.
  struct Candidate {
    const config::Subsystem* subsystem;
    const config::Namespace* space;
    bool is_demanded;  // the change fails where this namespace cannot be served
    OpenedDevice opened{};
    std::string failure{};
    bool is_absent = false;
    std::string served_when{};  // where the failure may pass by itself
  };
  static std::string why_missing(const Candidate& candidate);
  using Candidates = std::vector<Candidate>;

  void add_missing_ones(const config::Config& wanted, Candidates& candidates) const;
  Task open_together(Candidates& candidates);
  Task open(Candidate& candidate);
  Task stage_opened(Candidates& candidates, StagedNamespaces& staged);
  // Has the core make the target that `wanted` describes, which nobody uses: it says here what it would refuse later.
  // What it refuses of `staged` goes to the candidates as a failure, anything else is thrown.
  // StateFilesWorker::Hangs: it says nothing.
  Task rehearse(const config::Config& wanted, StagedNamespaces& staged, Candidates& candidates);
  void give_up(StagedNamespaces& staged, Candidates& candidates, const std::string& why);
  struct Rehearsed {
    std::string nqn;
    core::NamespaceOptions options;
  };
  std::vector<Rehearsed> staying(const config::Config& wanted, const StagedNamespaces& staged) const;
  // What the work of a rehearsal owns.
  struct Rehearsal;
  Task change_policies(const config::Difference& difference, const config::Config& wanted, StagedNamespaces& staged,
                       std::vector<std::string>& reasons);

  boost::asio::io_context& io_;
  const core::Target& target_;
  Storage& storage_;
  DeviceOpener& opener_;
  const Changes& changes_;
  Events& events_;
  MissingNamespaces missing_;
};

// The beginning of messages: where the config names a namespace's device, and which namespace that is.
std::string place_of(const config::Config& config, const config::Subsystem& subsystem, const config::Namespace& space);
// Where the device or file appears (device_watch.h); empty: the namespace needs none.
std::string path_to_watch(const config::Backend& backend);
// When a device node disappears, its device has gone, too, even if the same SSD has come back with another node, to
// which a link in /dev/disk leads now; a file that loses its name can still be served.
bool is_gone(const ServedNamespace& served);

}  // namespace nvmf::daemon
