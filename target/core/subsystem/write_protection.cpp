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

void SubsystemWriteProtection::enforce(uint32_t nsid) const {
  for (const auto& place : subsystem_.dispersed_namespace(nsid).places)
    place.subsystem->enforce_write_protection(place.nsid);
}

WriteProtection SubsystemWriteProtection::state(const NamespaceOptions& ns) const {
  const WriteProtection by_hosts = subsystem_.dispersed_namespace(ns.nsid).write_protection;
  if (by_hosts != WriteProtection::None) return by_hosts;
  return ns.write_protected ? WriteProtection::Protected : WriteProtection::None;
}

void SubsystemWriteProtection::change(uint32_t nsid, WriteProtection wanted, std::function<void(Status)> done) {
  const auto change = [this, wanted](const NamespaceOptions& ns, const DispersedNamespaces::End& end) {
    const WriteProtection before = state(ns);
    const bool is_saved = !subsystem_.dispersed_namespace(ns.nsid).saved_protection_is_unknown;
    if (wanted == before && (is_saved || ns.write_protected)) return end(kSuccess);
    if (ns.write_protected || !may_change(before))
      return end(command_specific(NVME_SC_FEATURE_NOT_CHANGEABLE).do_not_retry());
    save(ns, wanted, end);
  };
  subsystem_.target().dispersed_namespaces().change_in_turn(subsystem_, nsid, change, std::move(done));
}

void SubsystemWriteProtection::clear(uint32_t nsid, std::function<void(Status)> done) {
  const auto change = [this](const NamespaceOptions& ns, const DispersedNamespaces::End& end) {
    if (!may_change(subsystem_.dispersed_namespace(ns.nsid).write_protection))
      return end(command_specific(NVME_SC_FEATURE_NOT_CHANGEABLE).do_not_retry());
    save(ns, WriteProtection::None, end);
  };
  subsystem_.target().dispersed_namespaces().change_in_turn(subsystem_, nsid, change, std::move(done));
}

// The namespace, and the subsystem that it was changed in, may be gone when the state is saved.
void SubsystemWriteProtection::save(const NamespaceOptions& ns, WriteProtection wanted,
                                    const std::function<void(Status)>& done) {
  DispersedNamespaces& all = subsystem_.target().dispersed_namespaces();
  const auto hold = [&all, storage = DispersedNamespaces::storage_of(subsystem_, ns), wanted, done](bool saved) {
    DispersedNamespace* const everywhere = all.find(storage);
    if (everywhere != nullptr) everywhere->saved_protection_is_unknown = !saved;
    if (!saved) return done(NVME_SC_INTERNAL);
    if (everywhere != nullptr) {
      everywhere->write_protection = wanted;
      for (const auto& place : everywhere->places) {
        place.subsystem->enforce_write_protection(place.nsid);
        place.subsystem->namespace_changed(place.nsid);
      }
    }
    done(kSuccess);
  };
  const DispersedNamespace& now = subsystem_.dispersed_namespace(ns.nsid);
  const WriteProtection kept = after_power_cycle(wanted);
  if (kept == after_power_cycle(now.write_protection) && !now.saved_protection_is_unknown) return hold(true);
  subsystem_.target().write_protection_store->save(subsystem_.nqn(), ns, kept, hold);
}

}  // namespace nvmf::core
