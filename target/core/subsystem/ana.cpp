#include "target/core/subsystem/ana.h"

#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

// What this state of a namespace on a host's port denies; 0: nothing.
Denials denials_of(AnaState state) {
  switch (state) {
    case AnaState::Optimized:
    case AnaState::NonOptimized:
      return 0;
    case AnaState::Inaccessible:
      return kAnaInaccessible;
    case AnaState::PersistentLoss:
      return kAnaPersistentLoss;
    case AnaState::Change:
      return kAnaTransition;
  }
  return 0;
}

}  // namespace

AnaState AnaStates::state(uint32_t group, uint16_t port_id) const {
  switch (withdrawal(port_id)) {
    case Withdrawal::Changing:
      return AnaState::Change;
    case Withdrawal::Withdrawn:
      return AnaState::Inaccessible;
    case Withdrawal::No:
      break;
  }
  const Group found = at(group, port_id);
  return found.distant && found.state == AnaState::Optimized ? AnaState::NonOptimized : found.state;
}

Withdrawal AnaStates::withdrawal(uint16_t port_id) const {
  const auto port = ports_.find(port_id);
  return port != ports_.end() ? port->second.withdrawal : Withdrawal::No;
}

uint64_t AnaStates::log_change_count(uint16_t port_id) const {
  const auto port = ports_.find(port_id);
  return port != ports_.end() ? port->second.changes : Port{}.changes;
}

bool AnaStates::set(uint32_t group, uint16_t port_id, AnaState state) {
  if (at(group, port_id).state == state) return false;
  ports_[port_id].groups[group].state = state;
  members_changed(group, port_id);
  return true;
}

bool AnaStates::set_distant(uint32_t group, uint16_t port_id, bool distant) {
  if (at(group, port_id).distant == distant) return false;
  const AnaState before = state(group, port_id);
  ports_[port_id].groups[group].distant = distant;
  if (state(group, port_id) == before) return false;
  members_changed(group, port_id);
  return true;
}

void AnaStates::members_changed(uint32_t group, uint16_t port_id) {
  Port& port = ports_[port_id];
  ++port.groups[group].changes;
  ++port.changes;
}

AnaStates::Group AnaStates::at(uint32_t group, uint16_t port_id) const {
  const auto port = ports_.find(port_id);
  if (port == ports_.end()) return {};
  const auto found = port->second.groups.find(group);
  return found != port->second.groups.end() ? found->second : Group{};
}

AnaState ana_state(const Controller& controller, const NamespaceOptions& ns) {
  return controller.subsystem().ana().state(ns.ana_group, controller.port_id());
}

// New denials are set first: between two forbidden states there is no moment when access is allowed.
void apply_ana_state(Controller& controller, const NamespaceOptions& ns) {
  const AnaStates& ana = controller.subsystem().ana();
  const bool knows_ana = controller.has_read_ana_log();
  const Denials denied =
      denials_of(knows_ana ? ana_state(controller, ns) : ana.configured_state(ns.ana_group, controller.port_id()));
  controller.deny(ns.nsid, denied);
  controller.permit(ns.nsid, static_cast<Denials>(kAnaDenials & ~denied));
}

}  // namespace nvmf::core
