// What a config says, put into effect: at the start all of it, later the difference to what runs. A reload is all or
// nothing: whatever can fail is tried first, before hosts see anything.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <filesystem>
#include <iterator>
#include <utility>

#include "config/parse.h"
#include "target/core/datapath/limits.h"
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

std::vector<core::Port> ports_of(const config::Config& config) {
  std::vector<core::Port> ports;
  for (const config::Port& wanted : config.ports) ports.push_back(port_of(wanted));
  return ports;
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

// What messages call a config that came through the admin API.
constexpr char kRunningConfig[] = "the changed config";

// Until a device that was resized has its new size for hosts.
constexpr std::chrono::seconds kSizesInterval{5};

constexpr char kShutsDown[] = "the daemon shuts down";

std::string summary_of(ConfigChange::Verdict verdict, const std::string& file) {
  if (verdict == ConfigChange::Verdict::Mistaken) return file + " has mistakes";
  return verdict == ConfigChange::Verdict::NeedsRestart ? file + " needs a restart" : "see above";
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
        "its identifiers change while its device stays: take the namespace out in one reload, put it in in the next");
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
  co_await open_devices_of(ports_of(config_), Attempt::First);
  co_await report_missing(config_, Missing::All, staged);
  if (shutting_down_) co_return;
  co_await apply(difference, std::move(staged));
  announce();
  watch_devices();
  changing_ = false;
  service_manager::ready(status_line());
  change_done_.cancel();
}

// One reload that waits reads what all those who ask meanwhile want read.
Daemon::Task Daemon::reload_on_signal() {
  if (std::exchange(reload_is_wanted_, true)) co_return;
  co_await reload();
}

// One look that waits sees all that has changed by then.
Daemon::Task Daemon::on_devices_changed() {
  if (std::exchange(devices_changed_, true)) co_return;
  co_await alone([this]() -> Change {
    devices_changed_ = false;
    co_await follow_devices();
    co_return ConfigChange{};
  });
}

Daemon::Change Daemon::alone(std::function<Change()> work) {
  while (changing_) {
    boost::system::error_code ignored;
    co_await change_done_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  ConfigChange change;
  if (shutting_down_) {
    change.verdict = ConfigChange::Verdict::Unavailable;
    change.reasons.emplace_back(kShutsDown);
    co_return change;
  }
  changing_ = true;
  std::exception_ptr failure;
  try {
    change = co_await work();
  } catch (...) {
    failure = std::current_exception();
  }
  transport_.turn_admin();  // what hosts are told of it
  service_manager::ready(status_line());
  changing_ = false;
  change_done_.cancel();
  if (failure) std::rethrow_exception(failure);
  co_return change;
}

// The file wins over what was changed otherwise.
Daemon::Change Daemon::reload() {
  const auto work = [this]() -> Change {
    reload_is_wanted_ = false;
    service_manager::reloading();
    std::string text;
    config::Result wanted = config::load(file_, &text);
    ConfigChange change = co_await become(wanted, text);
    const bool good = change.verdict == ConfigChange::Verdict::Good;
    for (const std::string& line : change.changes) spdlog::info("reload: {}", line);
    for (const std::string& reason : change.reasons)
      spdlog::log(good ? spdlog::level::warn : spdlog::level::err, reason);
    if (!good) {
      spdlog::error("reload refused, nothing has changed: {}", summary_of(change.verdict, file_));
      co_return change;
    }
    for (const std::string& lost : std::exchange(unsaved_, {})) {
      change.reasons.push_back("this change was not saved, and the file wins: " + lost);
      spdlog::warn("reload: {}", change.reasons.back());
    }
    spdlog::info("reloaded {}: {} changes", file_, change.changes.size());
    co_return change;
  };
  return alone(work);
}

Daemon::Change Daemon::change(Edit edit) {
  const auto work = [this, edit = std::move(edit)]() -> Change {
    config::Json wanted = document_;
    edit(wanted);
    const std::string text = config::text_of(wanted);
    config::Result parsed = config::parse(text, kRunningConfig);
    ConfigChange change = co_await become(parsed, text);
    if (change.verdict != ConfigChange::Verdict::Good) co_return change;
    for (const std::string& line : change.changes) {
      spdlog::info("changed through the admin API: {}", line);
      unsaved_.push_back(line);
    }
    co_return change;
  };
  return alone(work);
}

Daemon::Change Daemon::become(config::Result& wanted, const std::string& text) {
  using Verdict = ConfigChange::Verdict;
  ConfigChange change;
  const auto refused = [&](Verdict verdict) {
    change.verdict = verdict;
    return change;
  };
  for (const auto& diagnostic : wanted.diagnostics) change.reasons.push_back(to_string(diagnostic));
  if (!wanted.config) co_return refused(Verdict::Mistaken);
  const config::Difference difference = config::diff(config_, *wanted.config);
  std::ranges::copy(difference.needs_restart, std::back_inserter(change.reasons));
  if (!difference.needs_restart.empty()) co_return refused(Verdict::NeedsRestart);
  std::optional<StagedNamespaces> staged = co_await stage(*wanted.config, difference, change.reasons);
  if (!staged) co_return refused(Verdict::Unavailable);

  change.changes = config::describe(difference);
  co_await apply(difference, std::move(*staged));
  std::ranges::move(co_await storage_.follow_sizes(target_), std::back_inserter(change.changes));
  set_limits(wanted.config->limits);
  set_log_level(wanted.config->log_level);
  const bool other_ports = !difference.ports_added.empty() || !difference.ports_removed.empty();
  document_ = config::editable(text, *wanted.config);
  config_ = std::move(*wanted.config);
  if (other_ports) announce();
  watch_devices();
  co_return change;
}

boost::asio::awaitable<std::optional<Daemon::StagedNamespaces>> Daemon::stage(const config::Config& wanted,
                                                                              const config::Difference& difference,
                                                                              std::vector<std::string>& reasons) {
  StagedNamespaces staged;
  bool failed = false;
  const auto attempt = [&](const config::Difference::NamespaceChange& change, auto& action) -> Task {
    try {
      co_await action(change);
    } catch (const std::exception& error) {
      reasons.push_back(place_of(wanted, *change.subsystem, *change.after) + ": " + error.what());
      failed = true;
    }
  };
  const auto open = [&](const config::Difference::NamespaceChange& change) -> Task {
    if (awaits_device(change)) co_return;
    refuse_device_in_use(change);
    auto space = co_await storage_.stage(change.subsystem->nqn, *change.after);
    staged.added.push_back({change.subsystem, std::move(space)});
  };
  const auto change_policies = [&](const config::Difference::NamespaceChange& change) -> Task {
    const ServedNamespace* served = storage_.find(change.subsystem->nqn, change.after->nsid);
    if (!served) co_return;
    auto p2p = co_await storage_.choose_peer_memory(*change.after, *served->device);
    staged.changed.push_back({change.subsystem, change.after, std::move(p2p)});
  };
  for (const auto& change : difference.namespaces_added) co_await attempt(change, open);
  for (const auto& change : difference.namespaces_changed) {
    if (change.same_device)
      co_await attempt(change, change_policies);
    else
      co_await attempt(change, open);
  }
  if (failed) co_return std::nullopt;
  co_await stage_missing(wanted, Missing::All, staged, reasons);
  if (!shutting_down_) co_return staged;
  reasons.emplace_back(kShutsDown);
  co_return std::nullopt;
}

// Its device is not there yet, and no host loses anything by it: it is served when it appears, as at the start.
bool Daemon::awaits_device(const config::Difference::NamespaceChange& change) const {
  return !is_there(path_of(change.after->backend)) && !storage_.find(change.subsystem->nqn, change.after->nsid);
}

Daemon::Task Daemon::report_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged) {
  std::vector<std::string> reasons;
  co_await stage_missing(wanted, which, staged, reasons);
  for (const std::string& reason : reasons) spdlog::error(reason);
}

Daemon::Task Daemon::stage_missing(const config::Config& wanted, Missing which, StagedNamespaces& staged,
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
        if (which == Missing::All) missing(subsystem, space, path + " is not there; it is served when it appears");
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
  std::vector<core::Port> ports;
  for (const config::Port* wanted : difference.ports_added) ports.push_back(port_of(*wanted));
  co_await come_up(std::move(ports), Attempt::First);
}

// The kernel tells nobody of a file that grew, and of a device that did only those who hear its events.
Daemon::Task Daemon::watch_sizes() {
  for (;;) {
    size_timer_.expires_after(kSizesInterval);
    co_await size_timer_.async_wait(boost::asio::use_awaitable);
    if (shutting_down_ || !storage_.sizes_differ()) continue;
    co_await alone([this]() -> Change {
      for (const std::string& change : co_await storage_.follow_sizes(target_)) spdlog::info(change);
      co_return ConfigChange{};
    });
  }
}

// Devices that were unplugged go out of service, what is plugged in comes into service.
Daemon::Task Daemon::follow_devices() {
  co_await take_out_gone_devices();
  co_await serve_missing();
}

Daemon::Task Daemon::serve_missing() {
  StagedNamespaces staged;
  co_await report_missing(config_, Missing::ThatHaveTheirDevice, staged);
  if (!shutting_down_) co_await apply({}, std::move(staged));
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

std::string Daemon::status_line() const {
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
  stop_listening(gone.id);
  drained_.erase(gone.id);
  target_.remove_port(gone.id);
}

}  // namespace nvmf::daemon
