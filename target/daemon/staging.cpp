#include "target/daemon/staging.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "config/parse.h"
#include "target/daemon/core_options.h"
#include "target/daemon/countdown.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

// The new device of a namespace can be opened beside the old one only when they differ.
bool is_in_use(const config::Difference::NamespaceChange& change) {
  return change.before != nullptr && change.before->backend == change.after->backend;
}

constexpr char kInUse[] =
    "its identifiers change while its device stays: remove the namespace in one reload, and add it in the next";

const StagedNamespaces::Added* find(const StagedNamespaces& staged, const std::string& nqn, uint32_t nsid) {
  const auto found = std::ranges::find_if(staged.added, [&](const StagedNamespaces::Added& one) {
    return one.subsystem->nqn == nqn && one.space->wanted.nsid == nsid;
  });
  return found != staged.added.end() ? &*found : nullptr;
}

// The core names the namespace first, as messages here do.
std::string without_name(std::string message, const std::string& nqn, uint32_t nsid) {
  const std::string name = "namespace " + std::to_string(nsid) + " of " + nqn + ": ";
  return message.starts_with(name) ? message.substr(name.size()) : message;
}

}  // namespace

std::string place_of(const config::Config& config, const config::Subsystem& subsystem, const config::Namespace& space) {
  return config::location(config, space.backend_position) + ": namespace " + std::to_string(space.nsid) + " of " +
         subsystem.nqn;
}

std::string path_to_watch(const config::Backend& backend) {
  if (const auto* nvme = std::get_if<config::NvmeBackend>(&backend); nvme != nullptr && !nvme->serial.empty())
    return "/dev/ng*";
  return std::visit(
      [](const auto& one) -> std::string {
        if constexpr (requires { one.path; })
          return one.path;
        else
          return {};
      },
      backend);
}

bool is_gone(const ServedNamespace& served) {
  if (std::holds_alternative<config::FileBackend>(served.wanted.backend)) return false;
  const backend::DeviceInfo& info = served.device->info();
  const auto node_at = [](const std::string& path) -> std::optional<dev_t> {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 ? std::optional(found.st_rdev) : std::nullopt;
  };
  const std::string named = spec_of(served.wanted.backend).path;
  return (!named.empty() && !node_at(named)) || (!info.path.empty() && node_at(info.path) != info.node);
}

boost::asio::awaitable<std::optional<StagedNamespaces>> Staging::stage(const config::Config& wanted,
                                                                       const config::Difference& difference,
                                                                       std::vector<std::string>& reasons) {
  const size_t reasons_before = reasons.size();
  const auto fail = [&](const config::Subsystem& subsystem, const config::Namespace& space, const std::string& why) {
    reasons.push_back(place_of(wanted, subsystem, space) + ": " + why);
  };
  Candidates candidates;
  for (const auto& change : difference.namespaces_added)
    candidates.push_back({.subsystem = change.subsystem, .space = change.after, .is_demanded = true});
  for (const auto& change : difference.namespaces_changed) {
    if (change.same_device) continue;
    if (is_in_use(change))
      fail(*change.subsystem, *change.after, kInUse);
    else
      candidates.push_back({.subsystem = change.subsystem, .space = change.after, .is_demanded = true});
  }
  add_missing_ones(wanted, candidates);
  StagedNamespaces staged;
  co_await open_together(candidates);
  co_await stage_opened(candidates, staged);
  co_await change_policies(difference, wanted, staged, reasons);
  try {
    co_await rehearse(wanted, staged, candidates);
  } catch (const std::exception& error) {
    reasons.emplace_back(error.what());
  }

  MissingNamespaces missing;
  for (const Candidate& one : candidates) {
    if (one.failure.empty()) continue;
    // No host loses anything by a new device that is not there yet: it is served when it appears, as at the start.
    const bool awaits_device = one.is_absent && storage_.find(one.subsystem->nqn, one.space->nsid) == nullptr;
    if (one.is_demanded && !awaits_device)
      fail(*one.subsystem, *one.space, one.failure);
    else
      missing[{one.subsystem->nqn, one.space->nsid}] = why_missing(one);
  }
  if (changes_.closed()) reasons.emplace_back(kShutsDown);
  if (reasons.size() != reasons_before) {
    for (auto& added : staged.added) opener_.close({std::move(added.space->device), std::move(added.space->lock)});
    co_return std::nullopt;
  }
  for (const Candidate& one : candidates)
    if (!one.failure.empty())
      reasons.push_back(place_of(wanted, *one.subsystem, *one.space) + " is not served: " + why_missing(one));
  for (const auto& added : staged.added) co_await storage_.keep(*added.space);
  missing_ = std::move(missing);
  co_return staged;
}

boost::asio::awaitable<StagedNamespaces> Staging::stage_missing(const config::Config& wanted, Missing which) {
  Candidates candidates;
  add_missing_ones(wanted, candidates);
  StagedNamespaces staged;
  co_await open_together(candidates);
  co_await stage_opened(candidates, staged);
  std::string hangs;
  try {
    co_await rehearse(wanted, staged, candidates);
  } catch (const StateFilesWorker::Hangs& error) {
    hangs = error.what();
  }
  if (!hangs.empty()) give_up(staged, candidates, hangs);
  if (which == Missing::All) missing_.clear();
  for (const Candidate& one : candidates) {
    const std::pair key{one.subsystem->nqn, one.space->nsid};
    if (one.failure.empty()) missing_.erase(key);
    if (one.failure.empty()) continue;
    const std::string why = why_missing(one);
    const bool is_known = std::exchange(missing_[key], why) == why;
    if (is_known || (one.is_absent && which == Missing::ThatHaveTheirDevice)) continue;
    events_.error(core::EventKind::Namespace,
                  fmt::format("{} is not served: {}", place_of(wanted, *one.subsystem, *one.space), why),
                  one.subsystem->nqn);
  }
  for (const auto& added : staged.added) co_await storage_.keep(*added.space);
  co_return staged;
}

std::string Staging::why_missing(const Candidate& candidate) {
  const std::string later =
      candidate.served_when.empty() ? "" : "; the namespace is served when " + candidate.served_when;
  return candidate.failure + later;
}

// Namespaces that are neither served nor candidates already.
void Staging::add_missing_ones(const config::Config& wanted, Candidates& candidates) const {
  const size_t demanded = candidates.size();
  const auto is_candidate = [&](const config::Subsystem& subsystem, const config::Namespace& space) {
    return std::any_of(
        candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(demanded),
        [&](const Candidate& one) { return one.subsystem->nqn == subsystem.nqn && one.space->nsid == space.nsid; });
  };
  for (const config::Subsystem& subsystem : wanted.subsystems)
    for (const config::Namespace& space : subsystem.namespaces)
      if (storage_.find(subsystem.nqn, space.nsid) == nullptr && !is_candidate(subsystem, space))
        candidates.push_back({.subsystem = &subsystem, .space = &space, .is_demanded = false});
}

// All at once: many that are busy or do not answer cost the time of one.
Staging::Task Staging::open_together(Candidates& candidates) {
  Countdown left(io_, candidates.size());
  const auto open_one = [this, &left](Candidate& candidate) -> Task {
    co_await open(candidate);
    left.one_less();
  };
  for (Candidate& candidate : candidates) spawn(io_, open_one(candidate), "opening a device");
  co_await left.reached();
}

Staging::Task Staging::open(Candidate& candidate) {
  try {
    candidate.opened = co_await opener_.open(spec_of(candidate.space->backend));
  } catch (const DeviceAbsent& error) {
    candidate.failure = error.what();
    candidate.is_absent = true;
    candidate.served_when = "it appears";
  } catch (const DeviceSilent& error) {
    candidate.failure = error.what();
    candidate.served_when = "it answers";
  } catch (const std::exception& error) {
    candidate.failure = error.what();
  }
}

// One after the other: self-tests of peer memory are made one at a time.
Staging::Task Staging::stage_opened(Candidates& candidates, StagedNamespaces& staged) {
  for (Candidate& candidate : candidates) {
    if (!candidate.failure.empty()) continue;
    try {
      auto space = co_await storage_.stage(candidate.subsystem->nqn, *candidate.space, std::move(candidate.opened));
      staged.added.push_back({candidate.subsystem, std::move(space)});
    } catch (const std::exception& error) {
      candidate.failure = error.what();
    }
  }
}

Staging::Task Staging::change_policies(const config::Difference& difference, const config::Config& wanted,
                                       StagedNamespaces& staged, std::vector<std::string>& reasons) {
  for (const auto& change : difference.namespaces_changed) {
    if (!change.same_device) continue;
    const ServedNamespace* served = storage_.find(change.subsystem->nqn, change.after->nsid);
    if (served == nullptr) continue;
    try {
      auto p2p = co_await storage_.choose_peer_memory(*change.after, *served->device);
      staged.changed.push_back({change.subsystem, change.after, std::move(p2p)});
    } catch (const std::exception& error) {
      reasons.push_back(place_of(wanted, *change.subsystem, *change.after) + ": " + error.what());
    }
  }
}

struct Staging::Rehearsal {
  config::Config wanted;
  std::vector<Rehearsed> stay;
  std::vector<Rehearsed> added;
  core::ReservationStore* reservation_store;
  core::WriteProtectionStore* write_protection_store;
  std::map<size_t, std::string> refused{};  // of `added`

  void run() {
    core::Target target(target_options(wanted));
    for (const core::Port& port : ports_of(wanted)) target.add_port(port);
    for (const config::Referral& referral : wanted.discovery.referrals) target.add_referral(referral_of(referral));
    for (const config::Subsystem& subsystem : wanted.subsystems)
      set_ana_states(target.add_subsystem(options_of(subsystem)), subsystem);
    for (const Rehearsed& one : stay) target.find_subsystem(one.nqn)->add_namespace(one.options);
    target.reservation_store = reservation_store;
    target.write_protection_store = write_protection_store;
    for (size_t i = 0; i < added.size(); ++i) {
      try {
        target.find_subsystem(added[i].nqn)->add_namespace(added[i].options);
      } catch (const std::exception& error) {
        refused[i] = without_name(error.what(), added[i].nqn, added[i].options.nsid);
      }
    }
  }
};

// Beside the control thread, for it reads files of the state directory.
Staging::Task Staging::rehearse(const config::Config& wanted, StagedNamespaces& staged, Candidates& candidates) {
  std::vector<Rehearsed> added;
  for (const auto& one : staged.added) added.push_back({one.subsystem->nqn, options_of(*one.space, one.space->wanted)});
  const auto rehearsal = std::make_shared<Rehearsal>(Rehearsal{
      wanted, staying(wanted, staged), std::move(added), target_.reservation_store, target_.write_protection_store});
  std::function<void()> work = [rehearsal] { rehearsal->run(); };
  co_await storage_.state_files().run(std::move(work));
  std::map<const StagedNamespaces::Added*, std::string> refused;
  for (const auto& [place, why] : rehearsal->refused) refused[&staged.added[place]] = why;
  for (Candidate& candidate : candidates) {
    const auto* const found_added = find(staged, candidate.subsystem->nqn, candidate.space->nsid);
    if (const auto found = refused.find(found_added); found != refused.end()) candidate.failure = found->second;
  }
  std::erase_if(staged.added, [&](const auto& one) { return refused.contains(&one); });
}

// None of them is served now; all are tried again when the state directory answers.
void Staging::give_up(StagedNamespaces& staged, Candidates& candidates, const std::string& why) {
  for (Candidate& candidate : candidates) {
    if (!candidate.failure.empty()) continue;
    candidate.failure = why;
    candidate.served_when = "it answers";
  }
  for (auto& added : staged.added) opener_.close({std::move(added.space->device), std::move(added.space->lock)});
  staged.added.clear();
}

// Namespaces that are served and stay, as they will be.
std::vector<Staging::Rehearsed> Staging::staying(const config::Config& wanted, const StagedNamespaces& staged) const {
  std::vector<Rehearsed> all;
  for (const config::Subsystem& subsystem : wanted.subsystems) {
    for (const config::Namespace& space : subsystem.namespaces) {
      const ServedNamespace* const served = storage_.find(subsystem.nqn, space.nsid);
      if (served != nullptr && find(staged, subsystem.nqn, space.nsid) == nullptr)
        all.push_back({subsystem.nqn, options_of(*served, space)});
    }
  }
  return all;
}

}  // namespace nvmf::daemon
