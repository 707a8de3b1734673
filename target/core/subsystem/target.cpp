#include "target/core/subsystem/target.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/host_id_owners.h"
#include "target/core/subsystem/random_mark.h"
#include "target/nvme/fabrics.h"

namespace nvmf::core {
namespace {

// Connects that wait are attempted in one turn of the control thread.
constexpr size_t kConnectsPerTurn = 16;

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

bool is_printable_ascii(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

// NQNs are UTF-8 (NVMe Base 2.1, section 4.7). U+0080 to U+009F are control characters, too.
bool has_control_character(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const auto next = static_cast<uint8_t>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next <= 0x9f)) return true;
  }
  return false;
}

// Hosts ask for a subsystem by whatever name they were given, so it need not begin with «nqn.».
void check_nqn(const std::string& nqn, const std::string& which) {
  require(!nqn.empty() && nqn.size() <= limits::kMaxNqnLength && !has_control_character(nqn),
          which + "a name has 1 to 223 bytes, none of them a control character");
}

void check(const Port& port, const std::string& which) {
  require(!port.address.empty() && port.address.size() < NVMF_TRADDR_SIZE && is_printable_ascii(port.address),
          which + "it has no valid address");
}

void check(const TargetOptions& options) {
  if (!options.discovery_nqn.empty()) check_nqn(options.discovery_nqn, "discovery: ");
  require(std::has_single_bit(options.max_transfer_bytes) && options.max_transfer_bytes >= limits::kMinTransferBytes &&
              options.max_transfer_bytes <= limits::kMaxTransferBytes,
          "the largest transfer must be a power of two from " + std::to_string(limits::kMinTransferBytes) + " to " +
              std::to_string(limits::kMaxTransferBytes));
  require(options.max_queue_depth >= 2 && options.max_queue_depth <= limits::kMaxQueueDepth,
          "the queue depth must be 2 to " + std::to_string(limits::kMaxQueueDepth));
  require(options.max_io_queues >= 1 && options.max_io_queues <= limits::kMaxIoQueues,
          "the number of I/O queues must be 1 to " + std::to_string(limits::kMaxIoQueues));
  require(options.in_capsule_bytes % 16 == 0 && options.in_capsule_bytes <= limits::kMaxInCapsuleBytes,
          "in-capsule data must be a multiple of 16 bytes, at most " + std::to_string(limits::kMaxInCapsuleBytes));
}

void check(const SubsystemOptions& options) {
  const std::string which = "subsystem " + options.nqn + ": ";
  check_nqn(options.nqn, which);
  require(options.serial.size() <= 20 && is_printable_ascii(options.serial),
          which + "a serial number has at most 20 printable ASCII characters");
  require(options.model.size() <= 40 && is_printable_ascii(options.model),
          which + "a model has at most 40 printable ASCII characters");
  require(options.max_controllers >= 1 && options.max_controllers <= limits::kMaxCntlid,
          which + "the number of controllers must be 1 to " + std::to_string(limits::kMaxCntlid));
  require(options.max_controllers_per_host >= 1, which + "the number of controllers of one host must be at least 1");
  require(
      options.cntlid_min >= 1 && options.cntlid_min <= options.cntlid_max && options.cntlid_max <= limits::kMaxCntlid,
      which + "controller identifiers are 1 to " + std::to_string(limits::kMaxCntlid) +
          ", and the highest may not be below the lowest");
  require(options.cntlid_first == 0 ||
              (options.cntlid_first >= options.cntlid_min && options.cntlid_first <= options.cntlid_max),
          which + "the first controller identifier must be within the range of identifiers");
  require(
      options.admin_label.size() <= limits::kMaxAdminLabelLength && is_printable_ascii(options.admin_label),
      which + "a label has at most " + std::to_string(limits::kMaxAdminLabelLength) + " printable ASCII characters");
}

SubsystemOptions discovery_options(const std::string& own_nqn) {
  SubsystemOptions options;
  options.nqn = own_nqn.empty() ? nvme::kDiscoveryNqn : own_nqn;
  options.serial = "discovery";
  options.model = "nvmf-p2p";
  options.allow_any_host = true;
  options.max_controllers = limits::kMaxCntlid;
  return options;
}

}  // namespace

// A Connect that waits (Target::wait_to_connect()).
struct WaitingConnect {
  Request* request;
  bool (*attempt)(Request& request, bool last);
  Target::Clock::time_point deadline;
  bool may_go_on = false;  // what it waits for may have gone since its last attempt
};

struct Target::State {
  State(Target& target, const TargetOptions& target_options)
      : options(target_options), discovery(target, discovery_options(target_options.discovery_nqn), true) {}

  TargetOptions options;
  uint32_t mark = random_mark();
  TargetLimits limits;
  DispersedNamespaces dispersed_namespaces;
  std::vector<Port> ports;
  std::vector<Referral> referrals;
  std::vector<std::unique_ptr<Subsystem>> subsystems;
  std::vector<std::unique_ptr<Subsystem>> removed_subsystems;  // removed subsystems that still have controllers
  std::vector<std::string> removed_nqns;                       // the last is the newest
  bool knows_odd_hosts = false;
  Subsystem discovery;
  std::vector<Queue*> io_queues;
  HostTraffic host_traffic;
  HostIdOwners host_id_owners;
  bool hosts_changed = false;
  std::vector<WaitingConnect> waiting_connects;
  bool connects_may_go_on = false;
  uint64_t generation = 1;
  uint32_t authentication_seqnum = random_mark();
  std::optional<Clock::time_point> next_deadline;  // that the caller of expire() knows
};

Target::Target(const TargetOptions& options) {
  check(options);
  state_ = std::make_unique<State>(*this, options);
}

// Subsystems remove their namespaces from the target.
Target::~Target() {
  state_->removed_subsystems.clear();
  state_->subsystems.clear();
}

const TargetOptions& Target::options() const { return state_->options; }

uint32_t Target::mark() const { return state_->mark; }
void Target::set_limits(const TargetLimits& limits) { state_->limits = limits; }
const TargetLimits& Target::limits() const { return state_->limits; }
const std::vector<Port>& Target::ports() const { return state_->ports; }
const std::vector<Referral>& Target::referrals() const { return state_->referrals; }
const std::vector<std::unique_ptr<Subsystem>>& Target::subsystems() const { return state_->subsystems; }
DispersedNamespaces& Target::dispersed_namespaces() { return state_->dispersed_namespaces; }
uint64_t Target::generation() const { return state_->generation; }

void Target::add_port(Port port) {
  const std::string which = "port " + std::to_string(port.id) + ": ";
  check(port, which);
  for (const Port& other : state_->ports) require(other.id != port.id, which + "another port has the same id");
  state_->ports.push_back(std::move(port));
  discovery_changed();
}

void Target::add_referral(Referral referral) {
  const std::string which = "referral to " + referral.port.address + ": ";
  check(referral.port, which);
  check_nqn(referral.nqn, which);
  state_->referrals.push_back(std::move(referral));
  discovery_changed();
}

Subsystem& Target::add_subsystem(SubsystemOptions options) {
  check(options);
  require(find_subsystem(options.nqn) == nullptr, "subsystem " + options.nqn + ": another subsystem has the same NQN");
  for (const uint16_t id : options.ports) {
    const bool known = std::ranges::any_of(ports(), [&](const Port& port) { return port.id == id; });
    require(known, "subsystem " + options.nqn + ": there is no port " + std::to_string(id));
  }
  std::erase(state_->removed_nqns, options.nqn);
  state_->subsystems.push_back(std::make_unique<Subsystem>(*this, std::move(options), false));
  discovery_changed();
  return *state_->subsystems.back();
}

void Target::set_dscp(uint16_t port_id, std::optional<uint8_t> dscp) {
  for (Port& port : state_->ports)
    if (port.id == port_id) port.dscp = dscp;
}

bool Target::set_heard(uint16_t id, std::vector<std::string> addresses) {
  const auto port = std::ranges::find(state_->ports, id, &Port::id);
  if (port == state_->ports.end() || port->heard == addresses) return false;
  port->heard = std::move(addresses);
  discovery_changed();
  return true;
}

void Target::remove_port(uint16_t id) {
  std::erase_if(state_->ports, [id](const Port& port) { return port.id == id; });
  const auto disconnect = [id](const Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers()) {
      if (controller->port_id() == id) controller->fail("port " + std::to_string(id) + " was closed");
    }
  };
  disconnect(state_->discovery);
  for (const auto& subsystem : state_->subsystems) disconnect(*subsystem);
  discovery_changed();
}

void Target::withdraw_port(uint16_t id, Withdrawal step) {
  for (const auto& subsystem : state_->subsystems) subsystem->withdraw_port(id, step);
}

bool Target::have_hosts_moved(uint16_t port_id) const {
  return std::ranges::none_of(state_->subsystems, [&](const auto& subsystem) {
    return std::ranges::any_of(subsystem->controllers(), [&](const auto& controller) {
      return controller->port_id() == port_id && !controller->is_closing() && controller->has_read_ana_log() &&
             controller->events().is_unread(AsyncEvent::AnaChanged);
    });
  });
}

size_t Target::controllers_on(uint16_t port_id) const {
  size_t count = 0;
  for_each_subsystem([&](const Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers()) count += controller->port_id() == port_id ? 1 : 0;
  });
  return count;
}

void Target::remove_subsystem(Subsystem& subsystem) {
  const auto place =
      std::ranges::find_if(state_->subsystems, [&](const auto& other) { return other.get() == &subsystem; });
  std::unique_ptr<Subsystem> removed = std::move(*place);
  state_->subsystems.erase(place);
  auto& removed_nqns = state_->removed_nqns;
  if (removed_nqns.size() == limits::kMaxRemovedSubsystems) removed_nqns.erase(removed_nqns.begin());
  removed_nqns.push_back(removed->nqn());
  removed->disconnect_all("subsystem " + removed->nqn() + " was removed");
  if (!removed->controllers().empty()) state_->removed_subsystems.push_back(std::move(removed));
  discovery_changed();
  hosts_changed();
}

bool Target::was_removed(const std::string& nqn) const {
  const auto& nqns = state_->removed_nqns;
  return std::ranges::find(nqns, nqn) != nqns.end();
}

bool Target::note_odd_host() { return !std::exchange(state_->knows_odd_hosts, true); }

Subsystem* Target::find_subsystem(const std::string& nqn) {
  if (nqn == nvme::kDiscoveryNqn || nqn == state_->discovery.nqn()) return &state_->discovery;
  for (const auto& subsystem : state_->subsystems) {
    if (subsystem->nqn() == nqn) return subsystem.get();
  }
  return nullptr;
}

uint32_t Target::next_authentication_seqnum() {
  if (++state_->authentication_seqnum == 0) ++state_->authentication_seqnum;
  return state_->authentication_seqnum;
}

const std::vector<Queue*>& Target::io_queues() const { return state_->io_queues; }

const HostTraffic& Target::host_traffic() const { return state_->host_traffic; }

void Target::queue_connected(Queue& queue) {
  state_->io_queues.push_back(&queue);
  state_->host_traffic.begin(queue.controller->host().nqn, queue.traffic);
}

bool Target::has_controller(uint16_t cntlid, uint16_t port_id) const {
  return std::ranges::any_of(state_->subsystems, [&](const auto& subsystem) {
    const Controller* controller = subsystem->find_controller(cntlid);
    return controller != nullptr && controller->port_id() == port_id;
  });
}

size_t Target::unauthenticated_controllers(const std::string& address) const {
  size_t count = 0;
  for_each_subsystem([&](const Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers())
      count += !controller->is_closing() && !controller->is_admitted() && address_of(controller->peer()) == address;
  });
  return count;
}

std::optional<std::string> Target::other_owner_of_id(const HostIdentity& host) const {
  return state_->host_id_owners.other_owner(host, [this](const std::string& nqn) { return has_keys(nqn); });
}

void Target::id_authenticated(const HostIdentity& host) {
  state_->host_id_owners.authenticated(host);
  for (const auto& subsystem : state_->subsystems) {
    for (const auto& controller : subsystem->controllers()) {
      if (controller->host().id != host.id || controller->host().nqn == host.nqn || controller->is_closing()) continue;
      controller->tell(Severity::Warning, EventKind::Disconnect,
                       controller->description() + ": disconnected, because host " + shown(host.nqn) +
                           " has authenticated with the same host identifier; give each host its own "
                           "(/etc/nvme/hostid)");
      controller->fail("another host has authenticated with the same host identifier");
    }
  }
}

bool Target::has_keys(const std::string& hostnqn) const {
  return !state_->discovery.credentials_of(hostnqn).keys.empty();
}

void Target::hosts_changed() {
  state_->hosts_changed = true;
  deadline_set(Clock::now());
}

// Hosts without a key any more: their identifiers are nobody's, and the discovery log may not be theirs.
void Target::settle_hosts() {
  if (!std::exchange(state_->hosts_changed, false)) return;
  std::unordered_set<std::string_view> with_keys;
  for (const auto& subsystem : state_->subsystems)
    for (const AuthenticatedHost& host : subsystem->options().hosts) with_keys.insert(host.nqn);
  state_->host_id_owners.forget_unknown([&](const std::string& nqn) { return with_keys.contains(nqn); });
  state_->discovery.disconnect_unwelcome();
}

bool Target::has_former_controller(const std::string& nqn, const HostIdentity& host) const {
  bool found = false;
  for_each_subsystem(
      [&](const Subsystem& subsystem) { found |= subsystem.nqn() == nqn && subsystem.has_closing_controller(host); });
  return found;
}

void Target::queue_closed(Queue& queue) {
  std::erase(state_->io_queues, &queue);
  state_->host_traffic.end(queue.traffic);
  drop_parked(queue);
  Controller* controller = queue.controller;
  if (controller == nullptr) return;
  controller->queue_closed(queue);
  remove_if_over(*controller);
}

void Target::remove_if_over(const Controller& controller) {
  if (!controller.is_over()) return;
  controller.subsystem().remove_controller(controller);
  std::erase_if(state_->removed_subsystems, [](const auto& removed) { return removed->controllers().empty(); });
}

void Target::for_each_subsystem(const std::function<void(Subsystem&)>& action) const {
  action(state_->discovery);
  for (const auto& subsystem : state_->subsystems) action(*subsystem);
  for (const auto& subsystem : state_->removed_subsystems) action(*subsystem);
}

// Time ---------------------------------------------------------------------------------------------------------------

std::optional<Target::Clock::time_point> Target::expire(Clock::time_point now) {
  settle_hosts();
  attempt_connects(now);
  std::vector<const Controller*> over;
  std::optional<Clock::time_point> next;
  const auto take = [&](std::optional<Clock::time_point> deadline) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  };
  for_each_subsystem([&](Subsystem& subsystem) {
    if (subsystem.end_some_controllers()) take(now);
    for (const auto& controller : subsystem.controllers()) {
      controller->expire(now);
      take(controller->deadline());
      if (controller->is_over()) over.push_back(controller.get());
    }
    take(subsystem.end_ana_transitions(now));
  });
  for (const Controller* controller : over) remove_if_over(*controller);
  for (const WaitingConnect& waiting : state_->waiting_connects) take(waiting.may_go_on ? now : waiting.deadline);
  if (state_->connects_may_go_on) take(now);
  state_->next_deadline = next;
  return next;
}

// From expire() alone, never from inside what a controller or a connection does.
void Target::controller_is_quiet(const Controller& controller) {
  if (state_->waiting_connects.empty() && !controller.is_over()) return;
  state_->connects_may_go_on = true;
  deadline_set(Clock::now());
}

void Target::wait_to_connect(Request& request, bool (*attempt)(Request& request, bool last)) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(limits::kConnectWaitMs);
  state_->waiting_connects.push_back({.request = &request, .attempt = attempt, .deadline = deadline});
  deadline_set(deadline);
}

// A few each time; those that wait on come after the others.
void Target::attempt_connects(Clock::time_point now) {
  const bool may_go_on = std::exchange(state_->connects_may_go_on, false);
  std::vector<WaitingConnect> attempted;
  for (WaitingConnect& waiting : std::exchange(state_->waiting_connects, {})) {
    const bool last = waiting.deadline <= now;
    waiting.may_go_on |= may_go_on;
    const bool is_due = (waiting.may_go_on || last) && attempted.size() != kConnectsPerTurn;
    (is_due ? attempted : state_->waiting_connects).push_back(waiting);
  }
  for (WaitingConnect& waiting : attempted) {
    waiting.may_go_on = false;
    if (!waiting.attempt(*waiting.request, waiting.deadline <= now)) state_->waiting_connects.push_back(waiting);
  }
}

void Target::drop_waiting_connect(const Queue& queue) {
  for (auto waiting = state_->waiting_connects.begin(); waiting != state_->waiting_connects.end(); ++waiting) {
    if (waiting->request->queue != &queue) continue;
    const WaitingConnect dropped = *waiting;
    state_->waiting_connects.erase(waiting);
    dropped.attempt(*dropped.request, true);
    return;
  }
}

void Target::deadline_set(Clock::time_point deadline) {
  if (state_->next_deadline && *state_->next_deadline <= deadline) return;
  state_->next_deadline = deadline;
  if (on_earlier_deadline) on_earlier_deadline(deadline);
}

void Target::event(const Event& event) const {
  if (on_event) on_event(event);
}

void Target::discovery_changed() {
  ++state_->generation;
  for (const auto& controller : state_->discovery.controllers()) {
    controller->events().post(AsyncEvent::DiscoveryLogChanged);
  }
}

}  // namespace nvmf::core
