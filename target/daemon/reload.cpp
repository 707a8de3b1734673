#include "target/daemon/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <iterator>
#include <utility>
#include <vector>

#include "config/wording.h"
#include "target/daemon/core_options.h"
#include "target/daemon/log.h"
#include "target/daemon/resource_check.h"
#include "target/daemon/save_journal.h"
#include "target/daemon/service_manager.h"
#include "target/daemon/spawn.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {
namespace {

// The name in messages of a config that came through the admin API.
constexpr char kRunningConfig[] = "the changed config";

using core::EventKind;

// Until a device that was resized has its new size for hosts, and between attempts to save what could not be saved.
constexpr std::chrono::seconds kSizesInterval{5};

config::Sources sources_of_running(const config::Json& document) {
  return {.file = {.name = kRunningConfig, .text = config::text_of(document)}};
}

// With what of the machine an operator must know at once.
config::Result parse_running(const config::Json& document) {
  config::Result parsed = config::parse_unseen(sources_of_running(document));
  if (parsed.config)
    std::ranges::move(check_memory(*parsed.config, p2p::Sysfs()), std::back_inserter(parsed.diagnostics));
  config::forget_positions(parsed);
  return parsed;
}

std::string summary_of(ConfigChange::Verdict verdict, const std::string& file) {
  if (verdict == ConfigChange::Verdict::Mistaken) return "the config has mistakes, see above";
  return verdict == ConfigChange::Verdict::NeedsRestart ? file + " needs a restart"
                                                        : "a device or file that it needs is unavailable, see above";
}

// Whether a reason says no more than that one of these is not served, and why.
bool tells(const std::string& reason, const MissingNamespaces& missing) {
  return std::ranges::any_of(missing, [&](const auto& one) {
    const auto& [key, why] = one;
    return reason.ends_with(fmt::format(": namespace {} of {} is not served: {}", key.second, key.first, why));
  });
}

}  // namespace

Reload::Reload(const Parts& parts)
    : io_(parts.io),
      target_(parts.target),
      transport_(parts.transport),
      storage_(parts.storage),
      opener_(parts.opener),
      health_(parts.health),
      ports_(parts.ports),
      changes_(parts.changes),
      running_(parts.running),
      files_(parts.files),
      events_(parts.events),
      staging_(parts.io, parts.target, parts.storage, parts.opener, parts.changes, parts.events),
      size_timer_(parts.io),
      device_watch_(parts.io, [this] { devices_may_have_changed(); }) {
  opener_.on_late = [this] { devices_may_have_changed(); };
  storage_.state_files().on_late = [this] { devices_may_have_changed(); };
  ports_.on_devices_came = [this] { return serve_missing(); };
  storage_.on_cmb_unused([this] {
    if (!changes_.closed()) spawn(io_, use_cmb_again(), "using the CMB of an SSD that is back");
  });
  storage_.on_lost([this](const std::string& nqn, uint32_t nsid, const std::string& why) {
    staging_.add_missing(nqn, nsid, why);
    health_.refresh();
  });
  ports_.on_addresses_changed = [this] {
    if (!changes_.closed()) announce();
  };
}

Reload::Task Reload::serve() {
  co_await changes_.alone([this]() -> Change {
    const config::Config nothing;
    const config::Config& wanted = running_.config();
    config::Difference difference = config::diff(nothing, wanted);
    for (const config::Referral& referral : wanted.discovery.referrals) target_.add_referral(referral_of(referral));
    set_limits(wanted.limits);
    co_await read_keys(wanted);
    for (const std::string& fault : unreadable_keys()) events_.error(EventKind::Authentication, fault);
    target_.find_subsystem(nvme::kDiscoveryNqn)->set_discovery_authentication(wanted.discovery.require_authentication);
    difference.namespaces_added.clear();
    co_await ports_.open_devices_of(ports_of(wanted), Ports::Attempt::First);
    StagedNamespaces staged = co_await staging_.stage_missing(wanted, Staging::Missing::All);
    if (changes_.closed()) co_return ConfigChange{};
    co_await apply(difference, std::move(staged));
    announce();
    watch_devices();
    co_return ConfigChange{};
  });
  keep_looking();
}

void Reload::serve_on() {
  reload_is_wanted_ = false;
  devices_changed_ = false;
  announce();
  keep_looking();
  devices_may_have_changed();
}

void Reload::keep_looking() {
  if (!std::exchange(looks_, true))
    spawn(io_, look_every_few_seconds(), "watching the sizes of devices, and saving what could not be saved");
}

Reload::Task Reload::reload_on_signal() {
  if (std::exchange(reload_is_wanted_, true)) co_return;
  const ConfigChange change = co_await reload();
  const bool good = change.verdict == ConfigChange::Verdict::Good;
  log_always(std::string("audit: signal SIGHUP: reload: ") + (good ? "done" : "refused"));
}

// The files replace changes that were not saved.
Reload::Change Reload::reload(bool force) {
  const auto work = [this, force]() -> Change {
    reload_is_wanted_ = false;
    service_manager::reloading();
    const std::string& file = running_.file();
    config::Sources sources;
    config::Result wanted;
    std::vector<std::string> undone;
    co_await files_.run([&] {
      undone = undo_before_reading(file);
      wanted = config::load(file, &sources);
    });
    for (const std::string& sentence : undone) events_.warn(EventKind::Config, sentence);
    std::vector<std::string> unsaved;
    if (wanted.config) unsaved = running_.lost_by(*wanted.config);
    ConfigChange change = co_await become(wanted, sources, Source::Files);
    if (force && change.verdict == ConfigChange::Verdict::Good) disconnect_former_keys(change);
    const bool good = change.verdict == ConfigChange::Verdict::Good;
    last_ = Last{.time = std::chrono::system_clock::now(), .succeeded = good};
    for (const std::string& line : change.changes) events_.tell(EventKind::Config, fmt::format("reload: {}", line));
    for (const std::string& reason : change.reasons)
      events_.tell({good ? core::Severity::Warning : core::Severity::Error, EventKind::Config, reason});
    if (!good) {
      events_.error(EventKind::Config,
                    fmt::format("reload refused, nothing has changed: {}", summary_of(change.verdict, file)));
      co_return change;
    }
    for (const std::string& lost : unsaved) {
      change.reasons.push_back("this change was not saved, so the config file replaced it: " + lost);
      events_.warn(EventKind::Config, fmt::format("reload: {}", change.reasons.back()));
    }
    const std::string drop_ins = config::and_drop_ins(running_.drop_ins().size());
    events_.tell(EventKind::Config,
                 fmt::format("reloaded {}{}: {}", file, drop_ins, config::count_of(change.changes.size(), "change")));
    co_return change;
  };
  return changes_.alone(work);
}

void Reload::demand(const std::optional<std::string>& version) const {
  if (version && *version != running_.version())
    throw Refused("the running config has changed meanwhile: read it again, and repeat the change");
}

Reload::Change Reload::change(AdminActions::Edit edit, std::optional<std::string> if_match) {
  const auto work = [this, edit = std::move(edit), if_match = std::move(if_match)]() -> Change {
    demand(if_match);
    config::Json wanted = running_.document();
    edit(wanted);
    config::Sources sources = sources_of_running(wanted);
    config::Result parsed = parse_running(wanted);
    const config::Result before = parse_running(running_.document());
    parsed.diagnostics = config::brought_by_change(parsed.diagnostics, before.diagnostics);
    ConfigChange change = co_await become(parsed, sources, Source::AdminApi);
    if (change.verdict != ConfigChange::Verdict::Good) co_return change;
    for (const std::string& line : change.changes)
      events_.tell(EventKind::Config, fmt::format("changed through the admin API: {}", line));
    co_return change;
  };
  return changes_.alone(work);
}

Reload::Change Reload::replace(config::Sources sources, std::optional<std::string> if_match) {
  const auto work = [this, sources = std::move(sources), if_match = std::move(if_match)]() -> Change {
    demand(if_match);
    config::Sources wanted = sources;
    config::Result parsed = config::parse(wanted);
    ConfigChange change = co_await become(parsed, wanted, Source::AdminApi);
    if (change.verdict != ConfigChange::Verdict::Good) co_return change;
    for (const std::string& line : change.changes)
      events_.tell(EventKind::Config, fmt::format("changed through the admin API: {}", line));
    co_return change;
  };
  return changes_.alone(work);
}

Reload::Change Reload::accept(std::string nqn, uint32_t nsid) {
  const auto work = [this, nqn = std::move(nqn), nsid]() -> Change {
    const std::string name = "namespace " + std::to_string(nsid) + " of " + nqn;
    config::Json document = running_.document();
    config::find_namespace(document, nqn, nsid);
    const bool was_refused = co_await storage_.accept(nqn, nsid);
    if (!was_refused)
      throw config::EditError(config::EditError::Kind::Absent, "no storage of " + name + " is waiting to be accepted");
    co_await serve_missing();
    ConfigChange change;
    change.changes.push_back("accept the storage of " + name);
    const auto missing = staging_.missing().find({nqn, nsid});
    if (missing != staging_.missing().end()) change.reasons.push_back(name + " is not served: " + missing->second);
    co_return change;
  };
  return changes_.alone(work);
}

Reload::Change Reload::become(config::Result& wanted, config::Sources& sources, Source source) {
  const HostKeyFiles former = keys_;
  ConfigChange failed;
  bool applies = false;
  try {
    co_return co_await try_to_become(wanted, sources, source, applies);
  } catch (const std::exception& error) {
    failed.reasons.emplace_back(error.what());
  }
  keys_ = former;
  failed.verdict = ConfigChange::Verdict::Unavailable;
  if (applies) failed.reasons.emplace_back("a part of the change has been made: remove the cause, and repeat it");
  co_return failed;
}

Reload::Change Reload::try_to_become(config::Result& wanted, config::Sources& sources, Source source, bool& applies) {
  using Verdict = ConfigChange::Verdict;
  ConfigChange change;
  const auto refused = [&](Verdict verdict) {
    change.verdict = verdict;
    return change;
  };
  for (const config::Diagnostic& diagnostic : wanted.diagnostics) change.reasons.push_back(to_string(diagnostic));
  if (!wanted.config) co_return refused(Verdict::Mistaken);
  const config::Difference difference = config::diff(running_.config(), *wanted.config);
  std::ranges::copy(difference.needs_restart, std::back_inserter(change.reasons));
  if (!difference.needs_restart.empty()) co_return refused(Verdict::NeedsRestart);
  const HostKeyFiles former = keys_;
  const std::vector<std::string> unreadable_before = unreadable_keys();
  const MissingNamespaces missing_before = staging_.missing();
  co_await read_keys(*wanted.config);
  const std::vector<std::string> unavailable = keys_that_change_needs();
  std::ranges::copy(unavailable, std::back_inserter(change.reasons));
  if (!unavailable.empty()) {
    keys_ = former;
    co_return refused(Verdict::Unavailable);
  }
  std::optional<StagedNamespaces> staged = co_await staging_.stage(*wanted.config, difference, change.reasons);
  if (!staged) {
    keys_ = former;
    co_return refused(Verdict::Unavailable);
  }

  if (source == Source::AdminApi)
    std::erase_if(change.reasons, [&](const std::string& one) { return tells(one, missing_before); });
  change.changes = config::describe(difference);
  applies = true;
  const std::vector<std::string> failures = co_await apply(difference, std::move(*staged));
  std::ranges::copy(failures, std::back_inserter(change.reasons));
  co_await storage_.settle();
  std::ranges::move(storage_.awaited(), std::back_inserter(change.reasons));
  for (const std::string& fault : unreadable_keys())
    if (source == Source::Files || std::ranges::find(unreadable_before, fault) == unreadable_before.end())
      change.reasons.push_back(fault);
  if (source == Source::AdminApi) tell_of_faults_since(former);
  std::ranges::move(take_over_keys(*wanted.config), std::back_inserter(change.changes));
  co_await storage_.measure();
  std::ranges::move(co_await storage_.follow_devices(target_), std::back_inserter(change.changes));
  set_limits(wanted.config->limits);
  set_log_level(wanted.config->log_level);
  const bool other_ports = !difference.ports_added.empty() || !difference.ports_removed.empty();
  if (source == Source::Files) {
    running_.replace_by_files(std::move(*wanted.config), std::move(sources));
  } else {
    config::Json document = config::editable(sources, *wanted.config);
    running_.replace(std::move(*wanted.config), std::move(document));
  }
  if (other_ports) announce();
  watch_devices();
  co_return change;
}

boost::asio::awaitable<std::vector<std::string>> Reload::apply(const config::Difference& difference,
                                                               StagedNamespaces staged) {
  std::vector<std::string> failures;
  const auto remove = [this](const config::Difference::NamespaceChange& change) -> Task {
    if (storage_.find(change.subsystem->nqn, change.before->nsid) != nullptr)
      co_await storage_.remove(*target_.find_subsystem(change.subsystem->nqn), change.before->nsid);
  };
  for (const auto& change : difference.namespaces_removed) co_await remove(change);
  for (const config::Subsystem* gone : difference.subsystems_removed) remove_subsystem(*gone);
  for (const config::Port* gone : difference.ports_removed) ports_.remove(gone->id);
  for (const config::Port* wanted : difference.ports_added) target_.add_port(port_of(*wanted));
  for (const config::Port* wanted : difference.ports_changed) target_.set_dscp(wanted->id, wanted->dscp);
  for (const config::Subsystem* wanted : difference.subsystems_added) add_subsystem(*wanted);
  for (const auto& change : difference.subsystems_changed) change_subsystem(*change.after);
  for (const auto& change : difference.namespaces_changed)
    if (!change.same_device) co_await remove(change);
  for (auto& one : staged.changed)
    co_await storage_.change_policies(*target_.find_subsystem(one.subsystem->nqn), *one.wanted, std::move(one.p2p));
  for (auto& one : staged.added) {
    const uint32_t nsid = one.space->wanted.nsid;
    try {
      co_await storage_.add(*target_.find_subsystem(one.subsystem->nqn), std::move(one.space));
    } catch (const std::exception& error) {
      events_.error(EventKind::Namespace, error.what());
      failures.emplace_back(error.what());
      staging_.add_missing(one.subsystem->nqn, nsid, error.what());
    }
  }
  health_.refresh();
  // Last, so that hosts that connect find everything.
  std::vector<core::Port> ports;
  for (const config::Port* wanted : difference.ports_added) ports.push_back(port_of(*wanted));
  co_await ports_.come_up(ports, Ports::Attempt::First);
  for (const core::Port& port : ports)
    if (const std::string reason = ports_.reason_of(port.id); !reason.empty())
      failures.push_back("port " + std::to_string(port.id) + " waits: " + reason);
  co_return failures;
}

void Reload::remove_subsystem(const config::Subsystem& gone) {
  core::Subsystem& subsystem = *target_.find_subsystem(gone.nqn);
  storage_.close_subsystem(subsystem);
  target_.remove_subsystem(subsystem);
}

void Reload::add_subsystem(const config::Subsystem& wanted) {
  core::SubsystemOptions options = options_of(wanted);
  options.hosts = keys_.hosts[wanted.nqn];
  core::Subsystem& subsystem = target_.add_subsystem(std::move(options));
  storage_.open_subsystem(subsystem);
  set_ana_states(subsystem, wanted);
}

void Reload::change_subsystem(const config::Subsystem& wanted) {
  core::Subsystem& subsystem = *target_.find_subsystem(wanted.nqn);
  const core::SubsystemOptions options = options_of(wanted);
  subsystem.set_admin_label(options.admin_label);
  subsystem.set_subsystem_reset(options.subsystem_reset);
  subsystem.set_permanent_write_protection(options.permanent_write_protection);
  subsystem.set_max_controllers(options.max_controllers, options.max_controllers_per_host);
  subsystem.set_allowed_hosts(options.allow_any_host, options.allowed_hosts, keys_.hosts[wanted.nqn]);
  subsystem.set_ports(options.ports);
  set_ana_states(subsystem, wanted);
}

// Keys ----------------------------------------------------------------------------------------------------------------

Reload::Task Reload::read_keys(const config::Config& wanted) {
  const HostKeyFiles former = keys_;
  HostKeyFiles read;
  co_await key_reader_.run([&] { read = read_host_keys(wanted, former); });
  keys_ = std::move(read);
}

// A change does not fail because of a file that it does not concern, and that cannot be read just now.
std::vector<std::string> Reload::keys_that_change_needs() const {
  std::vector<std::string> unavailable;
  for (const KeyFault& fault : keys_.faults)
    if (fault.outcome == KeyFault::Outcome::NewEntry) unavailable.push_back(fault.text);
  return unavailable;
}

// A reload logs all of them.
void Reload::tell_of_faults_since(const HostKeyFiles& former) {
  for (const KeyFault& fault : keys_.faults)
    if (std::ranges::find(former.faults, fault.entry, &KeyFault::entry) == former.faults.end())
      events_.warn(EventKind::Authentication, to_string(fault));
}

std::vector<std::string> Reload::unreadable_keys() const {
  std::vector<std::string> sentences;
  for (const KeyFault& fault : keys_.faults) sentences.push_back(to_string(fault));
  return sentences;
}

std::vector<std::string> Reload::take_over_keys(const config::Config& wanted) {
  std::vector<std::string> changes;
  for (const config::Subsystem& one : wanted.subsystems) {
    core::Subsystem& subsystem = *target_.find_subsystem(one.nqn);
    if (same_hosts(subsystem.options().hosts, keys_.hosts[one.nqn])) continue;
    subsystem.set_allowed_hosts(one.allow_any_host, one.allowed_hosts, keys_.hosts[one.nqn]);
    changes.push_back("change subsystem " + one.nqn + ": keys of hosts");
  }
  return changes;
}

void Reload::disconnect_former_keys(ConfigChange& change) {
  const auto disconnect = [&](core::Subsystem& subsystem) {
    const size_t count = subsystem.disconnect_former_keys();
    if (count != 0)
      change.changes.push_back("disconnect " + config::count_of(count, "controller") + " of " + subsystem.nqn() +
                               ", whose hosts had authenticated with keys that are no longer valid");
  };
  for (const auto& subsystem : target_.subsystems()) disconnect(*subsystem);
  disconnect(*target_.find_subsystem(nvme::kDiscoveryNqn));
}

void Reload::set_limits(const config::Limits& wanted) {
  target_.set_limits(limits_of(wanted));
  transport_.set_rate(
      {.per_s = wanted.max_new_controllers_per_s, .per_s_of_address = wanted.max_new_controllers_per_s_per_host});
}

void Reload::announce() {
  const config::Discovery& discovery = running_.config().discovery;
  if (!discovery.mdns) return;
  mdns_.emplace(
      io_, mdns_services(target_.ports(), discovery.nqn.value_or(nvme::kDiscoveryNqn), boost::asio::ip::host_name()));
}

// Devices that come and go --------------------------------------------------------------------------------------------

void Reload::devices_may_have_changed() {
  if (!changes_.closed()) spawn(io_, on_devices_changed(), "serving devices that appeared or disappeared");
}

// One waiting look at the devices sees all changes until it begins.
Reload::Task Reload::on_devices_changed() {
  if (std::exchange(devices_changed_, true)) co_return;
  co_await changes_.alone([this]() -> Change {
    devices_changed_ = false;
    co_await follow_devices();
    co_return ConfigChange{};
  });
}

// The kernel tells nobody of a file that grew or of a disk that caches its writes now, and of a device that grew only
// those who listen to its events.
Reload::Task Reload::look_every_few_seconds() {
  while (!changes_.closed()) {
    size_timer_.expires_after(kSizesInterval);
    co_await size_timer_.async_wait(boost::asio::use_awaitable);
    co_await storage_.measure();
    if (changes_.closed()) break;
    if (!storage_.differs() && storage_.unkept().empty()) continue;
    co_await changes_.alone([this]() -> Change {
      co_await storage_.keep_again();
      for (const std::string& change : co_await storage_.follow_devices(target_))
        events_.tell(EventKind::Device, change);
      co_return ConfigChange{};
    });
  }
  looks_ = false;
}

// Takes unplugged devices out of service, and devices that were plugged in into service.
Reload::Task Reload::follow_devices() {
  co_await take_out_gone_devices();
  co_await serve_missing();
  opener_.close_unwanted();
}

Reload::Task Reload::take_out_gone_devices() {
  const config::Config& config = running_.config();
  for (const config::Subsystem& wanted : config.subsystems) {
    for (const config::Namespace& space : wanted.namespaces) {
      const ServedNamespace* const served = storage_.find(wanted.nqn, space.nsid);
      if (served == nullptr || !is_gone(*served)) continue;
      events_.warn(EventKind::Device,
                   fmt::format("{}: {} has disappeared; the namespace is not served until it is back",
                               place_of(config, wanted, space), served->device->info().path));
      co_await storage_.remove_with_device(target_, *target_.find_subsystem(wanted.nqn), space.nsid);
    }
  }
}

// With an SSD its CMB may have come, which others use, too.
Reload::Task Reload::serve_missing() {
  StagedNamespaces staged = co_await staging_.stage_missing(running_.config(), Staging::Missing::ThatHaveTheirDevice);
  if (changes_.closed()) co_return;
  const bool has_come = !staged.added.empty();
  co_await apply({}, std::move(staged));
  if (has_come) co_await storage_.choose_again();
}

// A namespace that demands the CMB may be missing until then.
Reload::Task Reload::use_cmb_again() {
  co_await changes_.alone([this]() -> Change {
    co_await serve_missing();
    co_await storage_.choose_again();
    co_return ConfigChange{};
  });
}

void Reload::watch_devices() {
  std::vector<std::string> paths;
  for (const config::Subsystem& subsystem : running_.config().subsystems)
    for (const config::Namespace& space : subsystem.namespaces)
      if (std::string path = path_to_watch(space.backend); !path.empty()) paths.push_back(std::move(path));
  device_watch_.watch(paths);
}

}  // namespace nvmf::daemon
