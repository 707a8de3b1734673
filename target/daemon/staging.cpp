#include "target/daemon/staging.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "config/parse.h"

namespace nvmf::daemon {
namespace {

bool is_there(const std::string& path) {
  std::error_code error;
  return path.empty() || std::filesystem::exists(path, error);
}

// The new device of a namespace can be opened beside the old one only when they differ.
void refuse_device_in_use(const config::Difference::NamespaceChange& change) {
  if (change.before && change.before->backend == change.after->backend)
    throw std::runtime_error(
        "its identifiers change while its device stays: remove the namespace in one reload, and add it in the next");
}

}  // namespace

std::string place_of(const config::Config& config, const config::Subsystem& subsystem, const config::Namespace& space) {
  return config::location(config.file, space.backend_position) + ": namespace " + std::to_string(space.nsid) + " of " +
         subsystem.nqn;
}

std::string path_of(const config::Backend& backend) {
  return std::visit(
      [](const auto& one) -> std::string {
        if constexpr (requires { one.path; })
          return one.path;
        else
          return {};
      },
      backend);
}

bool is_gone(const config::Backend& backend) {
  return !std::holds_alternative<config::FileBackend>(backend) && !is_there(path_of(backend));
}

boost::asio::awaitable<std::optional<StagedNamespaces>> Staging::stage(const config::Config& wanted,
                                                                       const config::Difference& difference,
                                                                       std::vector<std::string>& reasons) {
  StagedNamespaces staged;
  bool failed = false;
  const auto attempt = [&](const NamespaceChange& change, Task action) -> Task {
    try {
      co_await std::move(action);
    } catch (const std::exception& error) {
      reasons.push_back(place_of(wanted, *change.subsystem, *change.after) + ": " + error.what());
      failed = true;
    }
  };
  for (const auto& change : difference.namespaces_added) {
    Task opening = open(change, staged);
    co_await attempt(change, std::move(opening));
  }
  for (const auto& change : difference.namespaces_changed) {
    Task action = change.same_device ? change_policies(change, staged) : open(change, staged);
    co_await attempt(change, std::move(action));
  }
  if (failed) co_return std::nullopt;
  co_await stage_missing(wanted, Missing::All, staged, reasons);
  if (!changes_.closed()) co_return staged;
  reasons.emplace_back(kShutsDown);
  co_return std::nullopt;
}

Staging::Task Staging::open(const NamespaceChange& change, StagedNamespaces& staged) {
  if (awaits_device(change)) co_return;
  refuse_device_in_use(change);
  auto space = co_await storage_.stage(change.subsystem->nqn, *change.after);
  staged.added.push_back({change.subsystem, std::move(space)});
}

Staging::Task Staging::change_policies(const NamespaceChange& change, StagedNamespaces& staged) {
  const ServedNamespace* served = storage_.find(change.subsystem->nqn, change.after->nsid);
  if (!served) co_return;
  auto p2p = co_await storage_.choose_peer_memory(*change.after, *served->device);
  staged.changed.push_back({change.subsystem, change.after, std::move(p2p)});
}

// Its device is not there yet, and no host loses anything by that: it is served when the device appears, as at the
// start.
bool Staging::awaits_device(const NamespaceChange& change) const {
  return !is_there(path_of(change.after->backend)) && !storage_.find(change.subsystem->nqn, change.after->nsid);
}

Staging::Task Staging::report_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged) {
  std::vector<std::string> reasons;
  co_await stage_missing(wanted, which, staged, reasons);
  for (const std::string& reason : reasons) spdlog::error(reason);
}

Staging::Task Staging::stage_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged,
                                     std::vector<std::string>& reasons) {
  const auto missing = [&](const config::Subsystem& subsystem, const config::Namespace& space, std::string why) {
    reasons.push_back(place_of(wanted, subsystem, space) + " is not served: " + why);
    missing_[{subsystem.nqn, space.nsid}] = std::move(why);
  };
  if (which == Missing::All) missing_.clear();
  for (const config::Subsystem& subsystem : wanted.subsystems) {
    for (const config::Namespace& space : subsystem.namespaces) {
      const bool is_staged = std::any_of(staged.added.begin(), staged.added.end(), [&](const auto& one) {
        return one.subsystem->nqn == subsystem.nqn && one.space->wanted.nsid == space.nsid;
      });
      if (is_staged || storage_.find(subsystem.nqn, space.nsid)) continue;
      const std::string path = path_of(space.backend);
      if (!is_there(path)) {
        if (which == Missing::All)
          missing(subsystem, space, path + " does not exist; the namespace is served when it appears");
        continue;
      }
      try {
        auto opened = co_await storage_.stage(subsystem.nqn, space);
        staged.added.push_back({&subsystem, std::move(opened)});
        missing_.erase({subsystem.nqn, space.nsid});
      } catch (const std::exception& error) {
        missing(subsystem, space, error.what());
      }
    }
  }
}

}  // namespace nvmf::daemon
