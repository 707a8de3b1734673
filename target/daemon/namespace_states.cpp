#include "target/daemon/namespace_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "config/edit.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/countdown.h"

namespace nvmf::daemon {
namespace {

using core::EventKind;
using nlohmann::json;

// By RTYPE.
constexpr std::array<const char*, 7> kTypes = {"none",
                                               "write-exclusive",
                                               "exclusive-access",
                                               "write-exclusive-registrants-only",
                                               "exclusive-access-registrants-only",
                                               "write-exclusive-all-registrants",
                                               "exclusive-access-all-registrants"};

const char* name_of(core::WriteProtection state) {
  switch (state) {
    case core::WriteProtection::None:
      return "none";
    case core::WriteProtection::Protected:
      return "protected";
    case core::WriteProtection::UntilPowerCycle:
      return kUntilPowerCycle;
    case core::WriteProtection::Permanent:
      return "permanent";
  }
  return "?";
}

std::string text_of(const core::HostId& host) {
  boost::uuids::uuid uuid;
  std::ranges::copy(host, uuid.begin());
  return to_string(uuid);
}

template <class Visit>
void for_each_namespace(const core::Target& target, Visit visit) {
  for (const auto& subsystem : target.subsystems())
    for (const core::NamespaceOptions& ns : subsystem->namespaces()) visit(*subsystem, ns);
}

// Linux makes its identifier a part of its NQN.
bool has_identifier(const std::string& hostnqn, const std::string& identifier) {
  std::string lower = hostnqn;
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower.find(identifier) != std::string::npos;
}

// The NQNs of a registered host: those by which it is connected, or, when it is not, those of allowed hosts that are
// made of its identifier.
std::set<std::string> names_of(const core::DispersedNamespace& ns, const core::HostId& host) {
  std::set<std::string> connected;
  std::set<std::string> allowed;
  for (const auto& place : ns.places) {
    const core::SubsystemOptions& options = place.subsystem->options();
    for (const auto& controller : place.subsystem->controllers())
      if (controller->host().id == host) connected.insert(controller->host().nqn);
    for (const std::string& name : options.allowed_hosts)
      if (has_identifier(name, text_of(host))) allowed.insert(name);
    for (const core::AuthenticatedHost& one : options.hosts)
      if (has_identifier(one.nqn, text_of(host))) allowed.insert(one.nqn);
  }
  return connected.empty() ? allowed : connected;
}

size_t controllers_of(const core::DispersedNamespace& ns, const core::HostId& host) {
  size_t count = 0;
  for (const auto& place : ns.places)
    count += static_cast<size_t>(std::ranges::count_if(place.subsystem->controllers(), [&](const auto& controller) {
      return controller->host().id == host && !controller->is_closing();
    }));
  return count;
}

json registrant_of(const core::DispersedNamespace& ns, const core::Registrant& registrant) {
  return {{"host_id", text_of(registrant.host)},
          {"hosts", names_of(ns, registrant.host)},
          {"controllers", controllers_of(ns, registrant.host)},
          {"key", fmt::format("{:#x}", registrant.key)},
          {"holder", ns.reservation.is_holder(registrant.host)}};
}

std::string place_of(const std::string& nqn, uint32_t nsid) {
  return "namespace " + std::to_string(nsid) + " of " + nqn;
}

// «write-exclusive, held by NQN; registered hosts: 2»
std::string in_words(const core::DispersedNamespace& ns) {
  const core::ReservationState& state = ns.reservation.state();
  std::string holders;
  for (const core::Registrant& one : state.registrants) {
    if (!ns.reservation.is_holder(one.host)) continue;
    const std::set<std::string> names = names_of(ns, one.host);
    holders +=
        (holders.empty() ? "" : ", ") + (names.empty() ? "host identifier " + text_of(one.host) : *names.begin());
  }
  const std::string what =
      state.rtype == 0 ? "no reservation was held" : fmt::format("{}, held by {}", kTypes[state.rtype], holders);
  return fmt::format("{}; registered hosts: {}", what, state.registrants.size());
}

// Hosts of a cluster rely on a reservation for the integrity of their data.
constexpr char kNeedsForce[] =
    "hosts that rely on the reservation may damage their data without it: make sure that none does, and repeat with "
    "force=true (nvmf-p2p: --force)";

config::EditError absent(const std::string& what) { return {config::EditError::Kind::Absent, what}; }

// Runs a change of the core that calls back, now or later.
template <class Start>
boost::asio::awaitable<core::Status> awaited(boost::asio::io_context& io, Start start) {
  const auto left = std::make_shared<Countdown>(io, 1);
  const auto result = std::make_shared<core::Status>();
  start([left, result](core::Status status) {
    *result = status;
    left->one_less();
  });
  co_await left->reached();
  co_return *result;
}

void require_saved(core::Status status, const std::string& what) {
  if (status.ok()) return;
  throw std::runtime_error("nothing has changed: the change of " + what +
                           " could not be saved; the log has the cause, mostly a full or read-only \"state_dir\"");
}

}  // namespace

json reservations_view(const core::Target& target) {
  json list = json::array();
  for_each_namespace(target, [&](const core::Subsystem& subsystem, const core::NamespaceOptions& options) {
    const core::DispersedNamespace& ns = subsystem.dispersed_namespace(options.nsid);
    const core::ReservationState& state = ns.reservation.state();
    if (state.registrants.empty()) return;
    json registrants = json::array();
    for (const core::Registrant& one : state.registrants) registrants.push_back(registrant_of(ns, one));
    list.push_back({{"subsystem", subsystem.nqn()},
                    {"nsid", options.nsid},
                    {"type", kTypes[state.rtype]},
                    {"generation", state.generation},
                    {"persists", state.ptpl},
                    {"registrants", std::move(registrants)}});
  });
  return list;
}

json write_protection_view(const core::Target& target) {
  json list = json::array();
  for_each_namespace(target, [&](const core::Subsystem& subsystem, const core::NamespaceOptions& options) {
    if (!subsystem.write_protection().is_protected(options)) return;
    list.push_back({{"subsystem", subsystem.nqn()},
                    {"nsid", options.nsid},
                    {"state", name_of(subsystem.dispersed_namespace(options.nsid).write_protection)},
                    {"read_only", options.write_protected}});
  });
  return list;
}

core::Subsystem& NamespaceStates::subsystem_with(const std::string& nqn, uint32_t nsid) {
  core::Subsystem* const subsystem = target_.find_subsystem(nqn);
  if (subsystem == nullptr || subsystem->is_discovery()) throw absent("there is no subsystem " + nqn);
  if (subsystem->find_namespace(nsid) == nullptr)
    throw absent("subsystem " + nqn + " serves no namespace " + std::to_string(nsid));
  return *subsystem;
}

// No other change removes the namespace meanwhile.
NamespaceStates::Change NamespaceStates::clear_reservation(std::string nqn, uint32_t nsid, bool force) {
  const auto work = [this, nqn = std::move(nqn), nsid, force]() -> Change {
    core::Subsystem& subsystem = subsystem_with(nqn, nsid);
    const core::DispersedNamespace& ns = subsystem.dispersed_namespace(nsid);
    if (ns.reservation.state().registrants.empty())
      throw absent("no host is registered on " + place_of(nqn, nsid) + ", so it has no reservation either");
    if (!force) throw Refused(kNeedsForce);
    const std::string former = in_words(ns);
    const core::Status status = co_await awaited(
        io_, [&](std::function<void(core::Status)> done) { subsystem.reservations().clear(nsid, std::move(done)); });
    require_saved(status, "the reservation on " + place_of(nqn, nsid));
    ConfigChange change;
    change.changes.push_back("clear the reservation on " + place_of(nqn, nsid) + ": " + former);
    events_.warn(EventKind::Namespace,
                 fmt::format("the operator has cleared the reservation on {}: {}", place_of(nqn, nsid), former), nqn);
    co_return change;
  };
  return changes_.alone(work);
}

NamespaceStates::Change NamespaceStates::clear_write_protection(std::string nqn, uint32_t nsid) {
  const auto work = [this, nqn = std::move(nqn), nsid]() -> Change {
    core::Subsystem& subsystem = subsystem_with(nqn, nsid);
    switch (subsystem.dispersed_namespace(nsid).write_protection) {
      case core::WriteProtection::None:
        throw absent("no host has protected " + place_of(nqn, nsid) +
                     (subsystem.find_namespace(nsid)->write_protected ? R"(; the config says "read_only": true)" : ""));
      case core::WriteProtection::UntilPowerCycle:
        throw Refused("a host has protected " + place_of(nqn, nsid) +
                      " until the next power cycle: the protection ends with a restart of the daemon");
      case core::WriteProtection::Permanent:
        throw Refused("a host has protected " + place_of(nqn, nsid) + " for ever: nobody can end that");
      case core::WriteProtection::Protected:
        break;
    }
    const core::Status status = co_await awaited(io_, [&](std::function<void(core::Status)> done) {
      subsystem.write_protection().clear(nsid, std::move(done));
    });
    require_saved(status, "the write protection of " + place_of(nqn, nsid));
    ConfigChange change;
    change.changes.push_back("clear the write protection of " + place_of(nqn, nsid));
    if (subsystem.find_namespace(nsid)->write_protected)
      change.reasons.push_back(place_of(nqn, nsid) + R"( stays protected: the config says "read_only": true)");
    events_.warn(EventKind::Namespace,
                 fmt::format("the operator has cleared the write protection of {}", place_of(nqn, nsid)), nqn);
    co_return change;
  };
  return changes_.alone(work);
}

}  // namespace nvmf::daemon
