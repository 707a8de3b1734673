#include "target/core/write_protection.h"

#include "target/core/subsystem.h"
#include "target/core/target.h"

namespace nvmf::core {
namespace {

WriteProtection after_power_cycle(WriteProtection state) {
  return state == WriteProtection::UntilPowerCycle ? WriteProtection::None : state;
}

// The section's figure: there is no way out of these but a power cycle, or none.
bool may_change(WriteProtection state) { return state == WriteProtection::None || state == WriteProtection::Protected; }

}  // namespace

bool SubsystemWriteProtection::is_offered() const { return subsystem_.target().write_protection_store != nullptr; }

void SubsystemWriteProtection::add_namespace(const NamespaceOptions& ns) {
  if (!is_offered()) return;
  const WriteProtection saved = subsystem_.target().write_protection_store->load(subsystem_.nqn(), ns);
  if (saved != WriteProtection::None) states_[ns.nsid] = saved;
}

WriteProtection SubsystemWriteProtection::state(const NamespaceOptions& ns) const {
  const auto found = states_.find(ns.nsid);
  if (found != states_.end()) return found->second;
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
  if (wanted == WriteProtection::None) {
    states_.erase(ns.nsid);
  } else {
    states_[ns.nsid] = wanted;
  }
  subsystem_.write_protection_changed(ns.nsid);
  return kSuccess;
}

}  // namespace nvmf::core
