// What a config says, put into effect: at the start all of it, later the difference to what runs. A reload is all or
// nothing: whatever can fail is tried first, before hosts see anything.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/host_name.hpp>
#include <filesystem>
#include <utility>

#include "config/parse.h"
#include "target/core/limits.h"
#include "target/daemon/ana.h"
#include "target/daemon/daemon.h"
#include "target/daemon/log.h"
#include "target/daemon/service_manager.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {

// What has been opened for namespaces, before anything is changed.
struct Daemon::StagedNamespaces {
  struct Added {
    const config::Subsystem* subsystem;
    std::unique_ptr<ServedNamespace> space;
  };
  struct Changed {
    const config::Subsystem* subsystem;
    const config::Namespace* wanted;
    PeerMemoryChoice p2p;
  };
  std::vector<Added> added;  // replacements, too
  std::vector<Changed> changed;
};

namespace {

// `wanted`: a port or a referral.
template <class Wanted>
core::Port port_of(uint16_t id, const Wanted& wanted) {
  core::Port port;
  port.id = id;
  port.address = wanted.address;
  port.service = wanted.service;
  port.ipv6 = wanted.family == config::AddressFamily::ipv6;
  return port;
}

core::Port port_of(const config::Port& wanted) {
  core::Port port = port_of(wanted.id, wanted);
  port.dscp = wanted.dscp;
  return port;
}

core::SubsystemOptions options_of(const config::Subsystem& wanted) {
  core::SubsystemOptions options;
  options.nqn = wanted.nqn;
  options.serial = wanted.serial;
  options.model = wanted.model;
  options.ports = wanted.ports;
  options.allow_any_host = wanted.allow_any_host;
  options.allowed_hosts = wanted.allowed_hosts;
  if (wanted.max_controllers) options.max_controllers = *wanted.max_controllers;
  if (wanted.max_controllers_per_host) options.max_controllers_per_host = *wanted.max_controllers_per_host;
  options.cntlid_min = wanted.cntlid_min;
  options.cntlid_max = wanted.cntlid_max;
  options.subsystem_reset = wanted.subsystem_reset;
  return options;
}

core::TargetLimits limits_of(const config::Limits& wanted) {
  constexpr uint32_t kNone = core::TargetLimits::kNone;
  return {.max_controllers = wanted.max_controllers.value_or(kNone),
          .max_controllers_per_host = wanted.max_controllers_per_host.value_or(kNone),
          .max_io_queues = wanted.max_io_queues.value_or(kNone),
          .max_io_queues_per_host = wanted.max_io_queues_per_host.value_or(kNone)};
}

core::Referral referral_of(const config::Referral& wanted) {
  return {.port = port_of(wanted.port_id, wanted), .nqn = nvme::kDiscoveryNqn};
}

// What the config leaves out is optimized.
void set_ana_states(core::Subsystem& subsystem, const config::Subsystem& wanted) {
  for (const uint16_t port : wanted.ports) {
    for (uint32_t group = 1; group <= core::limits::kMaxAnaGroups; ++group) {
      const auto named = std::find_if(wanted.ana.begin(), wanted.ana.end(), [&](const config::AnaGroup& one) {
        return one.group == group && one.port == port;
      });
      subsystem.set_ana_state(group, port,
                              named == wanted.ana.end() ? core::AnaState::Optimized : ana_state_of(named->state));
    }
  }
}

std::string place_of(const config::Config& config, const config::Subsystem& subsystem, const config::Namespace& space) {
  return config::location(config.file, space.backend_position) + ": namespace " + std::to_string(space.nsid) + " of " +
         subsystem.nqn;
}

// Empty: it needs no device or file.
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

bool is_there(const std::string& path) {
  std::error_code error;
  return path.empty() || std::filesystem::exists(path, error);
}

// A device node that vanishes takes its device along; a file that loses its name can be served on.
bool is_gone(const config::Backend& backend) {
  return !std::holds_alternative<config::FileBackend>(backend) && !is_there(path_of(backend));
}

// A second device of the same namespace can be opened only when the first is another one.
void refuse_device_in_use(const config::Difference::NamespaceChange& change) {
  if (change.before && change.before->backend == change.after->backend)
    throw std::runtime_error(
        "its identifiers, or what other subsystems its device is in, change while it stays: take the namespace out in "
        "one reload, put it in in the next");
}

}  // namespace

// A namespace that cannot be served does not keep the others from it.
Daemon::Task Daemon::serve() {
  changing_ = true;
  const config::Config nothing;
  config::Difference difference = config::diff(nothing, config_);
  StagedNamespaces staged;
  for (const config::Referral& wanted : config_.discovery.referrals) target_.add_referral(referral_of(wanted));
  set_limits(config_.limits);
  difference.namespaces_added.clear();
  stage_missing(config_, Missing::All, staged);
  co_await apply(difference, std::move(staged));
  announce();
  watch_devices();
  changing_ = false;
  co_await make_changes();
}

// One after the other; what is asked for meanwhile is done afterwards.
Daemon::Task Daemon::make_changes() {
  if (std::exchange(changing_, true)) co_return;
  while (reload_is_wanted_ || devices_changed_) {
    if (std::exchange(reload_is_wanted_, false)) {
      service_manager::reloading();
      co_await reload_once();
    }
    if (std::exchange(devices_changed_, false)) co_await follow_devices();
  }
  service_manager::ready(status());
  changing_ = false;
}

Daemon::Task Daemon::reload_once() {
  config::Result result = config::load(config_.file);
  for (const auto& diagnostic : result.diagnostics)
    spdlog::log(diagnostic.severity == config::Severity::error ? spdlog::level::err : spdlog::level::warn, "{}",
                to_string(diagnostic));
  if (!result.config) co_return spdlog::error("reload refused, nothing has changed: {} has mistakes", config_.file);

  const config::Difference difference = config::diff(config_, *result.config);
  for (const std::string& sentence : difference.needs_restart) spdlog::error("{}", sentence);
  if (!difference.needs_restart.empty())
    co_return spdlog::error("reload refused, nothing has changed: {} needs a restart", config_.file);
  std::optional<StagedNamespaces> staged = stage(*result.config, difference);
  if (!staged) co_return spdlog::error("reload refused, nothing has changed: see above");
  stage_missing(*result.config, Missing::All, *staged);

  const std::vector<std::string> lines = config::describe(difference);
  for (const std::string& line : lines) spdlog::info("reload: {}", line);
  co_await apply(difference, std::move(*staged));
  co_await storage_.follow_sizes(target_);
  set_limits(result.config->limits);
  set_log_level(result.config->log_level);
  const bool other_ports = !difference.ports_added.empty() || !difference.ports_removed.empty();
  config_ = std::move(*result.config);
  if (other_ports) announce();
  watch_devices();
  spdlog::info("reloaded {}: {} changes", config_.file, lines.size());
}

std::optional<Daemon::StagedNamespaces> Daemon::stage(const config::Config& wanted,
                                                      const config::Difference& difference) {
  StagedNamespaces staged;
  bool failed = false;
  const auto attempt = [&](const config::Difference::NamespaceChange& change, auto action) {
    try {
      action();
    } catch (const std::exception& error) {
      spdlog::error("{}: {}", place_of(wanted, *change.subsystem, *change.after), error.what());
      failed = true;
    }
  };
  const auto open = [&](const config::Difference::NamespaceChange& change) {
    attempt(change, [&] {
      refuse_device_in_use(change);
      staged.added.push_back({change.subsystem, storage_.stage(change.subsystem->nqn, *change.after)});
    });
  };
  for (const auto& change : difference.namespaces_added) open(change);
  for (const auto& change : difference.namespaces_changed) {
    const ServedNamespace* served = storage_.find(change.subsystem->nqn, change.after->nsid);
    if (!change.same_device) {
      open(change);
    } else if (served) {
      attempt(change, [&] {
        staged.changed.push_back(
            {change.subsystem, change.after, storage_.choose_peer_memory(*change.after, *served->device)});
      });
    }
  }
  if (failed) return std::nullopt;
  return staged;
}

// Namespaces whose device could not be opened before.
void Daemon::stage_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged) {
  for (const config::Subsystem& subsystem : wanted.subsystems) {
    for (const config::Namespace& space : subsystem.namespaces) {
      const bool is_staged = std::any_of(staged.added.begin(), staged.added.end(), [&](const auto& one) {
        return one.subsystem->nqn == subsystem.nqn && one.space->wanted.nsid == space.nsid;
      });
      if (is_staged || storage_.find(subsystem.nqn, space.nsid)) continue;
      if (which == Missing::ThatHaveTheirDevice && !is_there(path_of(space.backend))) continue;
      try {
        staged.added.push_back({&subsystem, storage_.stage(subsystem.nqn, space)});
      } catch (const std::exception& error) {
        spdlog::error("{} is not served: {}", place_of(wanted, subsystem, space), error.what());
      }
    }
  }
}

Daemon::Task Daemon::apply(const config::Difference& difference, StagedNamespaces staged) {
  const auto remove = [this](const config::Difference::NamespaceChange& change) -> Task {
    if (storage_.find(change.subsystem->nqn, change.before->nsid))
      co_await storage_.remove(*target_.find_subsystem(change.subsystem->nqn), change.before->nsid);
  };
  for (const auto& change : difference.namespaces_removed) co_await remove(change);
  for (const config::Subsystem* gone : difference.subsystems_removed) remove_subsystem(*gone);
  for (const config::Port* gone : difference.ports_removed) remove_port(*gone);
  for (const config::Port* wanted : difference.ports_added) target_.add_port(port_of(*wanted));
  for (const config::Port* wanted : difference.ports_changed) target_.set_dscp(wanted->id, wanted->dscp);
  for (const config::Subsystem* wanted : difference.subsystems_added) add_subsystem(*wanted);
  for (const auto& change : difference.subsystems_changed) change_subsystem(*change.after);
  for (const auto& change : difference.namespaces_changed)
    if (!change.same_device) co_await remove(change);
  for (auto& one : staged.changed)
    co_await storage_.change_policies(*target_.find_subsystem(one.subsystem->nqn), *one.wanted, std::move(one.p2p));
  for (auto& one : staged.added)
    co_await storage_.add(*target_.find_subsystem(one.subsystem->nqn), std::move(one.space));
  health_.refresh();
  // Last: hosts that come find everything.
  for (const config::Port* wanted : difference.ports_added) listen(port_of(*wanted), Attempt::First);
  transport_.turn_admin();
}

// Devices that were unplugged go out of service, what is plugged in comes into service.
Daemon::Task Daemon::follow_devices() {
  co_await take_out_gone_devices();
  StagedNamespaces staged;
  stage_missing(config_, Missing::ThatHaveTheirDevice, staged);
  co_await apply({}, std::move(staged));
}

Daemon::Task Daemon::take_out_gone_devices() {
  for (const config::Subsystem& wanted : config_.subsystems) {
    for (const config::Namespace& space : wanted.namespaces) {
      if (!is_gone(space.backend) || !storage_.find(wanted.nqn, space.nsid)) continue;
      spdlog::warn("{}: {} is gone; not served until it is back", place_of(config_, wanted, space),
                   path_of(space.backend));
      co_await storage_.remove_with_device(target_, *target_.find_subsystem(wanted.nqn), space.nsid);
    }
  }
}

void Daemon::watch_devices() {
  std::vector<std::string> paths;
  for (const config::Subsystem& subsystem : config_.subsystems)
    for (const config::Namespace& space : subsystem.namespaces)
      if (std::string path = path_of(space.backend); !path.empty()) paths.push_back(std::move(path));
  device_watch_.watch(paths);
}

void Daemon::announce() {
  if (!config_.discovery.mdns) return;
  mdns_.emplace(io_, mdns_services(target_.ports(), config_.discovery.nqn.value_or(nvme::kDiscoveryNqn),
                                   boost::asio::ip::host_name()));
}

std::string Daemon::status() const {
  return fmt::format("serving {} namespaces of {} subsystems on {} ports", storage_.namespaces().size(),
                     target_.subsystems().size(), target_.ports().size());
}

void Daemon::set_limits(const config::Limits& wanted) {
  target_.set_limits(limits_of(wanted));
  transport_.set_rate(
      {.per_s = wanted.max_new_controllers_per_s, .per_s_of_address = wanted.max_new_controllers_per_s_per_host});
}

void Daemon::remove_subsystem(const config::Subsystem& gone) {
  core::Subsystem& subsystem = *target_.find_subsystem(gone.nqn);
  storage_.close_subsystem(subsystem);
  target_.remove_subsystem(subsystem);
}

void Daemon::add_subsystem(const config::Subsystem& wanted) {
  core::Subsystem& subsystem = target_.add_subsystem(options_of(wanted));
  storage_.open_subsystem(subsystem);
  set_ana_states(subsystem, wanted);
}

void Daemon::change_subsystem(const config::Subsystem& wanted) {
  core::Subsystem& subsystem = *target_.find_subsystem(wanted.nqn);
  const core::SubsystemOptions options = options_of(wanted);
  subsystem.set_subsystem_reset(options.subsystem_reset);
  subsystem.set_max_controllers(options.max_controllers, options.max_controllers_per_host);
  subsystem.set_allowed_hosts(options.allow_any_host, options.allowed_hosts);
  subsystem.set_ports(options.ports);
  set_ana_states(subsystem, wanted);
}

void Daemon::remove_port(const config::Port& gone) {
  std::erase_if(unheard_ports_, [&](const core::Port& port) { return port.id == gone.id; });
  transport_.stop_listening(gone.id);
  target_.remove_port(gone.id);
}

}  // namespace nvmf::daemon
