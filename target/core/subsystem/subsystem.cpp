#include "target/core/subsystem/subsystem.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/host_network.h"
#include "target/core/subsystem/reservation_store.h"
#include "target/core/subsystem/target.h"
#include "target/core/subsystem/target_limits.h"

namespace nvmf::core {
namespace {

// Told to end in one turn of the control thread.
constexpr unsigned kControllersPerTurn = 16;

template <typename Identifier>
bool is_given(const Identifier& identifier) {
  return std::ranges::any_of(identifier, [](uint8_t byte) { return byte != 0; });
}

template <typename Identifier>
bool is_same(const Identifier& a, const Identifier& b) {
  return is_given(a) && a == b;
}

// What is wrong with the options of a namespace; empty when nothing is.
std::string find_fault(const NamespaceOptions& options) {
  if (options.nsid == 0 || options.nsid > limits::kMaxNamespaces) {
    return "the NSID must be 1 to " + std::to_string(limits::kMaxNamespaces);
  }
  if (options.lba_shift != 9 && options.lba_shift != 12) return "blocks must be 512 or 4096 bytes";
  if (options.block_count == 0) return "its size is 0";
  if (options.ana_group == 0 || options.ana_group > limits::kMaxAnaGroups) {
    return "the ANA group must be 1 to " + std::to_string(limits::kMaxAnaGroups);
  }
  if (options.block_count > UINT64_MAX >> options.lba_shift) return "its size is 2^64 bytes or more";
  return {};
}

std::string find_conflict(const NamespaceOptions& a, const NamespaceOptions& b) {
  if (is_same(a.uuid, b.uuid)) return "another namespace has the same UUID";
  if (is_same(a.nguid, b.nguid)) return "another namespace has the same NGUID";
  if (is_same(a.eui64, b.eui64)) return "another namespace has the same EUI-64";
  return {};
}

}  // namespace

std::string id_is_of(const std::string& owner) {
  return "the host identifier is that of host " + shown(owner) +
         ", which has authenticated with it; give each host its own, in /etc/nvme/hostid";
}

Subsystem::Subsystem(Target& target, SubsystemOptions options, bool is_discovery)
    : target_(target), options_(std::move(options)), is_discovery_(is_discovery), last_cntlid_(options_.cntlid_max) {
  if (options_.cntlid_first > options_.cntlid_min) last_cntlid_ = static_cast<uint16_t>(options_.cntlid_first - 1);
}

Subsystem::~Subsystem() {
  for (const NamespaceOptions& ns : namespaces_) target_.dispersed_namespaces().remove(*this, ns.nsid);
}

Subsystem::NamespacePlace Subsystem::place_of(uint32_t nsid) const {
  return std::ranges::lower_bound(namespaces_, nsid, {}, &NamespaceOptions::nsid);
}

void Subsystem::check(const NamespaceOptions& options) const {
  std::string fault = find_fault(options);
  for (const NamespaceOptions& other : namespaces_) {
    if (fault.empty() && other.nsid != options.nsid) fault = find_conflict(options, other);
  }
  if (!fault.empty()) {
    throw std::invalid_argument("namespace " + std::to_string(options.nsid) + " of " + nqn() + ": " + fault);
  }
}

std::function<Subsystem::SavedState()> Subsystem::saved_state_of(const NamespaceOptions& options) const {
  return [options, nqn = nqn(), reservations = target_.reservation_store, protection = target_.write_protection_store] {
    SavedState saved;
    if (reservations != nullptr) saved.reservation = reservations->load(nqn, options);
    if (protection != nullptr) saved.write_protection = protection->load(nqn, options);
    return saved;
  };
}

void Subsystem::add_namespace(const NamespaceOptions& options) { add_namespace(options, saved_state_of(options)()); }

void Subsystem::add_namespace(const NamespaceOptions& options, const SavedState& saved) {
  check(options);
  if (find_namespace(options.nsid) != nullptr) {
    throw std::invalid_argument("namespace " + std::to_string(options.nsid) + " of " + nqn() +
                                ": another namespace has the same NSID");
  }
  target_.dispersed_namespaces().add(*this, options, saved.reservation, saved.write_protection);
  persistent_events_.namespace_added(options);
  namespaces_.insert(place_of(options.nsid), options);
  reservations_.enforce(options.nsid);
  write_protection_.enforce(options.nsid);
  members_changed(options.ana_group);
  namespace_changed(options.nsid);
  for (const auto& controller : controllers_)
    if (find_namespace(options.nsid, *controller) != nullptr) controller->namespace_joined(options, false);
}

// Notifies hosts that see the namespace now, or saw it before.
void Subsystem::change_namespace(const NamespaceOptions& options) {
  check(options);
  const uint32_t former_group = find_namespace(options.nsid)->ana_group;
  const bool moved = former_group != options.ana_group;
  if (moved) {
    members_changed(former_group);
    members_changed(options.ana_group);
  }
  namespaces_[static_cast<size_t>(place_of(options.nsid) - namespaces_.begin())] = options;
  for (const auto& controller : controllers_) {
    const bool was_hidden = (controller->denials(options.nsid) & kHidden) != 0;
    apply_denials(*controller, options);
    const bool is_hidden = (controller->denials(options.nsid) & kHidden) != 0;
    if (!was_hidden || !is_hidden) controller->namespace_changed(options.nsid);
    if (!is_hidden && (moved || was_hidden)) controller->namespace_joined(options, moved && !was_hidden);
  }
}

// What a host was denied stays denied while queues still have the namespace; the next one of this number sets all anew.
void Subsystem::remove_namespace(uint32_t nsid) {
  members_changed(find_namespace(nsid)->ana_group);
  persistent_events_.namespace_removed(*find_namespace(nsid));
  namespaces_.erase(place_of(nsid));
  namespace_changed(nsid);
  target_.dispersed_namespaces().remove(*this, nsid);
}

DispersedNamespace& Subsystem::dispersed_namespace(uint32_t nsid) const {
  return target_.dispersed_namespaces().find(*this, nsid);
}

void Subsystem::enforce_write_protection(uint32_t nsid) const {
  for (const auto& controller : controllers_) apply_denials(*controller, *find_namespace(nsid));
}

void Subsystem::members_changed(uint32_t ana_group) {
  for (const uint16_t port_id : options_.ports) ana_.members_changed(ana_group, port_id);
}

void Subsystem::apply_denials(Controller& controller) const {
  for (const NamespaceOptions& options : namespaces_) apply_denials(controller, options);
}

// A namespace of a command set that the host does not use (CC.CSS, NVMe Base 2.0, section 3.1.3.5) is not attached to
// its controller: Namespace Attachment would answer I/O Command Set Not Enabled.
void Subsystem::apply_denials(Controller& controller, const NamespaceOptions& options) const {
  const auto& seers = options.visible_to;
  const bool visible = seers.empty() || std::ranges::find(seers, controller.host().nqn) != seers.end();
  const bool attached = !is_zoned(options.zones) || controller.properties().enables_all_command_sets();
  Denials denied = visible && attached ? 0 : kHidden;
  if (write_protection_.is_protected(options)) denied |= kWriteProtected;
  controller.deny(options.nsid, denied);
  controller.permit(options.nsid, static_cast<Denials>((kHidden | kWriteProtected) & ~denied));
  apply_ana_state(controller, options);
}

const NamespaceOptions* Subsystem::find_namespace(uint32_t nsid) const {
  const auto place = place_of(nsid);
  return place != namespaces_.end() && place->nsid == nsid ? &*place : nullptr;
}

void Subsystem::set_allowed_hosts(bool allow_any_host, std::vector<std::string> allowed_hosts,
                                  std::vector<AuthenticatedHost> hosts) {
  options_.allow_any_host = allow_any_host;
  options_.allowed_hosts = std::move(allowed_hosts);
  options_.hosts = std::move(hosts);
  disconnect_unwelcome();
  target_.discovery_changed();
  target_.hosts_changed();
}

size_t Subsystem::disconnect_former_keys() {
  size_t count = 0;
  for (const auto& controller : controllers_) {
    if (controller->is_closing()) continue;
    if (!controller->has_queue_of_former_key(credentials_of(controller->host().nqn))) continue;
    ++count;
    controller->fail("the key with which the host has authenticated is no longer valid");
  }
  return count;
}

void Subsystem::set_discovery_authentication(bool required) {
  NVMF_INVARIANT(is_discovery_);
  discovery_authentication_ = required;
  disconnect_unwelcome();
  target_.discovery_changed();
}

void Subsystem::set_ports(std::vector<uint16_t> ports) {
  options_.ports = std::move(ports);
  disconnect_unwelcome();
  target_.discovery_changed();
}

void Subsystem::set_admin_label(std::string label) {
  if (label == options_.admin_label) return;
  options_.admin_label = std::move(label);
  target_.discovery_changed();
}

void Subsystem::disconnect_unwelcome() {
  for (const auto& controller : controllers_) {
    if (!allows(controller->host().nqn)) {
      controller->fail("the host may not connect to subsystem " + nqn() + " any more");
    } else if (requires_authentication(controller->host().nqn) && controller->has_queue_without_authentication()) {
      controller->fail("the host must authenticate from now on to use subsystem " + nqn());
    } else if (!is_on_port(controller->port_id())) {
      controller->fail("subsystem " + nqn() + " is not offered on this port any more");
    }
  }
}

bool Subsystem::was_reset(const HostIdentity& host) const {
  return was_reset_ && std::ranges::find(noted_reset_, host) == noted_reset_.end();
}

void Subsystem::reset_noted(const HostIdentity& host) {
  if (!was_reset(host)) return;
  if (noted_reset_.size() == limits::kMaxAbsentHosts) noted_reset_.erase(noted_reset_.begin());
  noted_reset_.push_back(host);
}

void Subsystem::reset(const Controller& by) {
  was_reset_ = true;
  noted_reset_.clear();
  by.tell(Severity::Warning, EventKind::Disconnect, "NVM Subsystem Reset of " + nqn() + " by " + by.description());
  disconnect_all("NVM Subsystem Reset by host " + shown(by.host().nqn));
}

void Subsystem::disconnect_all(const std::string& reason) {
  last_to_end_ = last_controller_number_;
  next_to_end_ = 0;
  end_reason_ = reason;
  if (end_some_controllers()) target_.deadline_set(Clock::now());
}

bool Subsystem::end_some_controllers() {
  for (unsigned looked_at = 0; looked_at < kControllersPerTurn; ++looked_at) {
    const auto next = place_of_controller(next_to_end_);
    if (next == controllers_.end()) {
      next_to_end_ = limits::kMaxCntlid + 1u;
      return false;
    }
    Controller& controller = **next;
    next_to_end_ = controller.cntlid() + 1u;
    if (is_to_end(controller)) controller.fail(end_reason_);
  }
  return true;
}

bool Subsystem::is_to_end(const Controller& controller) const { return controller.number() <= last_to_end_; }

const NamespaceOptions* Subsystem::find_namespace(uint32_t nsid, const Controller& controller) const {
  const NamespaceOptions* found = find_namespace(nsid);
  return found != nullptr && (controller.denials(nsid) & kHidden) == 0 ? found : nullptr;
}

void Subsystem::namespace_changed(uint32_t nsid) {
  for (const auto& controller : controllers_) {
    if ((controller->denials(nsid) & kHidden) == 0) controller->namespace_changed(nsid);
  }
}

uint16_t Subsystem::command_quiesce_ms() const {
  uint32_t longest_ms = limits::kLeastCommandQuiesceMs;
  for (const NamespaceOptions& ns : namespaces_) longest_ms = std::max(longest_ms, ns.quiesce_ms.value_or(UINT32_MAX));
  return static_cast<uint16_t>(std::min(longest_ms, limits::kMaxCommandQuiesceMs));
}

void Subsystem::health_changed() {
  for (const auto& controller : controllers_) controller->report_warnings();
}

void Subsystem::device_failed(uint32_t nsid, DeviceError error) {
  if (find_namespace(nsid) == nullptr) return;
  const char* const what = error == DeviceError::Persistent
                               ? ": its device has disappeared, or is not ready: when it is back, remove the namespace "
                                 "from the config and add it again, with a reload after each step"
                               : ": its device reports an internal error: see the kernel log (dmesg)";
  target_.event({.severity = Severity::Error,
                 .kind = EventKind::Device,
                 .message = "namespace " + std::to_string(nsid) + " of " + nqn() + what,
                 .subsystem = nqn()});
  for (const auto& controller : controllers_) {
    if ((controller->denials(nsid) & kHidden) == 0) controller->device_failed(nsid, error);
  }
}

void Subsystem::set_ana_state(uint32_t group, uint16_t port_id, AnaState state) {
  const std::string which = "ANA group " + std::to_string(group) + " of " + nqn();
  if (group == 0 || group > limits::kMaxAnaGroups) {
    throw std::invalid_argument(which + ": groups are 1 to " + std::to_string(limits::kMaxAnaGroups));
  }
  if (!is_on_port(port_id))
    throw std::invalid_argument(which + ": the subsystem is not on port " + std::to_string(port_id));
  change_ana_state(group, port_id, state);
}

void Subsystem::change_ana_state(uint32_t group, uint16_t port_id, AnaState state) {
  if (!ana_.set(group, port_id, state)) return;
  std::erase_if(ana_transitions_,
                [&](const AnaTransition& one) { return one.group == group && one.port_id == port_id; });
  if (state == AnaState::Change) {
    ana_transitions_.push_back({group, port_id, Clock::now() + std::chrono::seconds(kAnaTransitionSeconds)});
    target_.deadline_set(ana_transitions_.back().end);
  }
  tell_of_ana_state(group, port_id);
}

void Subsystem::set_ana_distant(uint32_t group, uint16_t port_id, bool distant) {
  if (ana_.set_distant(group, port_id, distant)) tell_of_ana_state(group, port_id);
}

void Subsystem::tell_of_ana_state(uint32_t group, uint16_t port_id) const {
  for (const auto& controller : controllers_) {
    if (controller->port_id() == port_id) controller->ana_changed(group);
  }
}

// By what has not come about hosts are kept from the namespaces, so that they use other ways. The oldest is first.
std::optional<Subsystem::Clock::time_point> Subsystem::end_ana_transitions(Clock::time_point now) {
  while (!ana_transitions_.empty() && ana_transitions_.front().end <= now) {
    const AnaTransition due = ana_transitions_.front();
    target_.event({.severity = Severity::Warning,
                   .kind = EventKind::Namespace,
                   .message = "ANA group " + std::to_string(due.group) + " of " + nqn() + " on port " +
                              std::to_string(due.port_id) + ": it has been in the state \"change\" for " +
                              std::to_string(kAnaTransitionSeconds) +
                              " s, longer than hosts wait; it is \"inaccessible\" now. Set the state that it has "
                              "reached (nvmf-p2p ana)",
                   .subsystem = nqn()});
    ana_transitions_.erase(ana_transitions_.begin());
    change_ana_state(due.group, due.port_id, AnaState::Inaccessible);
  }
  return ana_transitions_.empty() ? std::nullopt : std::optional(ana_transitions_.front().end);
}

void Subsystem::withdraw_port(uint16_t port_id, Withdrawal step) {
  const Withdrawal reached = ana_.withdrawal(port_id);
  if (step == Withdrawal::No ? reached == step : step <= reached) return;
  ana_.withdraw(port_id, step);
  std::set<uint32_t> groups;
  for (const NamespaceOptions& ns : namespaces_) groups.insert(ns.ana_group);
  for (const uint32_t group : groups) {
    ana_.members_changed(group, port_id);
    tell_of_ana_state(group, port_id);
  }
}

bool Subsystem::allows(const std::string& hostnqn) const {
  if (discovery_authentication_) return !credentials_of(hostnqn).keys.empty();
  const auto& hosts = options_.allowed_hosts;
  return options_.allow_any_host || std::ranges::find(hosts, hostnqn) != hosts.end() ||
         requires_authentication(hostnqn);
}

bool Subsystem::requires_authentication(const std::string& hostnqn) const {
  return discovery_authentication_ ||
         std::ranges::any_of(options_.hosts, [&](const auto& host) { return host.nqn == hostnqn; });
}

HostCredentials Subsystem::credentials_of(const std::string& hostnqn) const {
  HostCredentials credentials;
  const auto add_from = [&](const Subsystem& subsystem) {
    for (const AuthenticatedHost& host : subsystem.options_.hosts) {
      if (host.nqn != hostnqn) continue;
      credentials.keys.push_back(host.keys);
      if (!credentials.hash) credentials.hash = host.hash;
      if (!credentials.group) credentials.group = host.group;
    }
  };
  if (!is_discovery_) {
    add_from(*this);
  } else {
    for (const auto& subsystem : target_.subsystems()) add_from(*subsystem);
  }
  return credentials;
}

bool Subsystem::is_on_port(uint16_t port_id) const {
  return is_discovery_ || std::ranges::find(options_.ports, port_id) != options_.ports.end();
}

// The first one of that identifier or a higher one.
std::vector<std::unique_ptr<Controller>>::const_iterator Subsystem::place_of_controller(uint32_t cntlid) const {
  return std::ranges::lower_bound(controllers_, cntlid, {}, [](const auto& one) { return uint32_t{one->cntlid()}; });
}

std::span<Controller* const> Subsystem::controllers_of(const HostIdentity& host) const {
  const auto found = controllers_of_host_.find(host);
  return found == controllers_of_host_.end() ? std::span<Controller* const>() : found->second;
}

Controller* Subsystem::find_controller(uint16_t cntlid) const {
  const auto place = place_of_controller(cntlid);
  return place != controllers_.end() && (*place)->cntlid() == cntlid ? place->get() : nullptr;
}

Controller* Subsystem::create_controller(HostIdentity host, Queue& admin_queue, uint32_t kato_ms, std::string subsysnqn,
                                         bool must_authenticate) {
  const auto would_make_room = [&] {
    return std::ranges::any_of(controllers_, [&](const auto& old) { return is_dead(*old, host, *admin_queue.link); });
  };
  if (!must_authenticate) make_room(host, *admin_queue.link);
  const bool has_room =
      reached_limit(host).empty() || (must_authenticate && has_free_identifier() && would_make_room());
  if (!has_room || target_.has_former_controller(nqn(), host)) return nullptr;
  auto controller =
      std::make_unique<Controller>(*this, next_cntlid(), std::move(host), admin_queue, kato_ms, std::move(subsysnqn));
  const auto place = place_of_controller(controller->cntlid());
  apply_denials(*controller);
  admin_queue.controller = controller.get();
  reservations_.enforce_on(*controller);
  controllers_of_host_[controller->host()].push_back(controller.get());
  return controllers_.insert(place, std::move(controller))->get();
}

bool Subsystem::make_room_for_unauthenticated(const std::string& address) {
  const size_t identifiers = size_t{options_.cntlid_max} - options_.cntlid_min + 1;
  const size_t room = std::max<size_t>(1, identifiers / limits::kUnauthenticatedShare);
  std::vector<Controller*> unauthenticated;
  for (const auto& controller : controllers_)
    if (!controller->is_closing() && !controller->is_admitted()) unauthenticated.push_back(controller.get());
  if (unauthenticated.size() < room) return true;
  std::vector<RoomHolder> holders;
  holders.reserve(unauthenticated.size());
  for (const Controller* controller : unauthenticated)
    holders.push_back({address_of(controller->peer()), controller->created_at().time_since_epoch().count()});
  const RoomMaker maker = *who_makes_room(holders);
  Controller& oldest = *unauthenticated[maker.index];
  const auto age = KeepAlive::Clock::now() - oldest.created_at();
  if (!has_several(maker, holders[maker.index].address, address) &&
      age < std::chrono::milliseconds(limits::kUnauthenticatedLeastMs))
    return false;
  oldest.tell(Severity::Warning, EventKind::Authentication,
              oldest.description() + ": has not authenticated for " +
                  std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(age).count()) +
                  " ms; disconnected to make room for other hosts");
  oldest.fail("it has not authenticated, and other hosts need the room");
  return true;
}

std::string Subsystem::admit(const Controller& controller, QueueLink& link) {
  if (const auto owner = other_owner_of_id(controller.host())) return id_is_of(*owner);
  make_room(controller.host(), link);
  if (std::string rule = reached_count(controller.host()); !rule.empty()) return rule;
  if (target_.has_former_controller(nqn(), controller.host()))
    return "the devices have not finished all commands of the host's previous controller; the host must connect again";
  if (is_discovery_) return {};
  if (link.reserve_io_queues(1) == 0) return kNoRoomForIoQueues;
  target_.id_authenticated(controller.host());
  return {};
}

// Discovery has nothing that depends on it.
std::optional<std::string> Subsystem::other_owner_of_id(const HostIdentity& host) const {
  return is_discovery_ ? std::nullopt : target_.other_owner_of_id(host);
}

bool Subsystem::is_dead(const Controller& old, const HostIdentity& host, const QueueLink& link) const {
  return !old.is_closing() && old.is_admitted() && old.host() == host && old.port_id() == link.port_id() &&
         address_of(old.peer()) == address_of(link.peer()) && old.is_silent(KeepAlive::Clock::now());
}

void Subsystem::make_room(const HostIdentity& host, const QueueLink& link) {
  for (const auto& old : controllers_) {
    if (reached_limit(host).empty()) return;
    if (!is_dead(*old, host, link)) continue;
    old->tell(
        Severity::Warning, EventKind::Disconnect,
        old->description() +
            ": no longer answers, and its host connects again while a limit is reached; disconnected to make room");
    old->fail("the host has connected again");
  }
}

// One that was never admitted has changed nothing, and only its NQN says that it was the host's.
bool Subsystem::has_closing_controller(const HostIdentity& host) const {
  return std::ranges::any_of(controllers_, [&](const auto& controller) {
    return controller->is_closing() && !controller->is_quiet() && controller->is_admitted() &&
           controller->host().nqn == host.nqn;
  });
}

std::string Subsystem::reached_limit(const HostIdentity& host) const {
  if (!has_free_identifier())
    return "subsystem " + nqn() +
           " has no free controller identifier between its \"cntlid_min\" and \"cntlid_max\"; make that range larger";
  return reached_count(host);
}

bool Subsystem::has_free_identifier() const {
  return controllers_.size() < size_t{options_.cntlid_max} - options_.cntlid_min + 1;
}

std::string Subsystem::reached_count(const HostIdentity& host) const {
  size_t all = 0;
  size_t of_host = 0;
  for (const auto& controller : controllers_) {
    if (controller->is_closing() || !controller->is_admitted()) continue;
    ++all;
    if (controller->host().nqn == host.nqn) ++of_host;
  }
  const auto rule = [this](const char* key, uint16_t limit) {
    return "subsystem " + nqn() + " has reached its limit: \"" + key + "\" is " + std::to_string(limit) +
           "; raise the limit, or disconnect a host (nvmf-p2p connections, nvmf-p2p disconnect HOSTNQN)";
  };
  if (all >= options_.max_controllers) return rule("max_controllers", options_.max_controllers);
  if (of_host >= options_.max_controllers_per_host)
    return rule("max_controllers_per_host", options_.max_controllers_per_host);
  return is_discovery_ ? std::string() : core::reached_limit(target_, host.nqn);
}

void Subsystem::remove_controller(const Controller& controller) {
  const auto place = place_of_controller(controller.cntlid());
  NVMF_INVARIANT(place != controllers_.end() && place->get() == &controller);
  const auto of_host = controllers_of_host_.find(controller.host());
  NVMF_INVARIANT(of_host != controllers_of_host_.end());
  NVMF_INVARIANT(std::erase(of_host->second, &controller) == 1);
  if (of_host->second.empty()) controllers_of_host_.erase(of_host);
  controllers_.erase(place);
}

// Round robin, because a host may still use the CNTLID of a controller that has ended. One is free: there are fewer
// controllers than identifiers.
uint16_t Subsystem::next_cntlid() {
  const auto advance = [&] {
    const bool at_end = last_cntlid_ >= options_.cntlid_max;
    last_cntlid_ = at_end ? options_.cntlid_min : static_cast<uint16_t>(last_cntlid_ + 1);
    return at_end;
  };
  advance();
  auto taken = place_of_controller(last_cntlid_);
  while (taken != controllers_.end() && (*taken)->cntlid() == last_cntlid_)
    taken = advance() ? controllers_.begin() : taken + 1;
  return last_cntlid_;
}

}  // namespace nvmf::core
