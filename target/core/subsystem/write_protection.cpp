#include "target/core/subsystem/write_protection.h"

#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

WriteProtection after_power_cycle(WriteProtection state) {
  return state == WriteProtection::UntilPowerCycle ? WriteProtection::None : state;
}

// As in the section's figure: only a power cycle ends the first of these states, nothing ends the other.
bool may_change(WriteProtection state) { return state == WriteProtection::None || state == WriteProtection::Protected; }

}  // namespace

bool SubsystemWriteProtection::is_offered() const { return subsystem_.target().write_protection_store != nullptr; }

WriteProtection SubsystemWriteProtection::load(const NamespaceOptions& ns) const {
  return is_offered() ? subsystem_.target().write_protection_store->load(subsystem_.nqn(), ns) : WriteProtection::None;
}

void SubsystemWriteProtection::enforce(uint32_t nsid) const {
  for (const auto& place : subsystem_.dispersed_namespace(nsid).places)
    place.subsystem->enforce_write_protection(place.nsid);
}

WriteProtection SubsystemWriteProtection::state(const NamespaceOptions& ns) const {
  const WriteProtection by_hosts = subsystem_.dispersed_namespace(ns.nsid).write_protection;
  if (by_hosts != WriteProtection::None) return by_hosts;
  return ns.write_protected ? WriteProtection::Protected : WriteProtection::None;
}

Status SubsystemWriteProtection::change(const NamespaceOptions& ns, WriteProtection wanted) {
  const WriteProtection before = state(ns);
  if (wanted == before) return kSuccess;
  if (ns.write_protected || !may_change(before)) {
    return command_specific(NVME_SC_FEATURE_NOT_CHANGEABLE).do_not_retry();
  }
  const WriteProtection kept = after_power_cycle(wanted);
  if (kept != before && !subsystem_.target().write_protection_store->save(subsystem_.nqn(), ns, kept)) {
    return NVME_SC_INTERNAL;
  }
  DispersedNamespace& everywhere = subsystem_.dispersed_namespace(ns.nsid);
  everywhere.write_protection = wanted;
  enforce(ns.nsid);
  for (const auto& place : everywhere.places) place.subsystem->namespace_changed(place.nsid);
  return kSuccess;
}

}  // namespace nvmf::core
