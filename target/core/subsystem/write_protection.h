// Namespace Write Protection: NVMe Base 2.0, section 8.12. The states that hosts set for a subsystem's namespaces,
// besides the operator's protection (NamespaceOptions::write_protected). Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "target/core/datapath/status.h"
#include "target/nvme/types.h"

namespace nvmf::core {

class Subsystem;
struct NamespaceOptions;

enum class WriteProtection : uint8_t {
  None = NVME_FEAT_NS_NO_WRITE_PROTECT,
  Protected = NVME_FEAT_NS_WRITE_PROTECT,
  UntilPowerCycle = NVME_FEAT_NS_WRITE_PROTECT_PWR_CYCLE,  // until the namespace is removed, or the daemon restarts
  Permanent = NVME_FEAT_NS_WRITE_PROTECT_PERMANENT,
};

// The store of states that outlast a power cycle: the daemon implements it and the core calls it. The state that is
// saved for one namespace is loaded for every other on the same storage (NamespaceOptions); without one, a namespace
// with other identifiers is another one.
class WriteProtectionStore {
 public:
  virtual ~WriteProtectionStore() = default;
  // The last saved state; None when nothing was saved. Throws std::runtime_error with a remedy when it cannot be read:
  // the namespace must not be served. Threads as ReservationStore::load().
  virtual WriteProtection load(const std::string& nqn, const NamespaceOptions& ns) = 0;
  // As ReservationStore::save().
  virtual void save(const std::string& nqn, const NamespaceOptions& ns, WriteProtection state,
                    std::function<void(bool)> saved) = 0;
};

class SubsystemWriteProtection {
 public:
  explicit SubsystemWriteProtection(Subsystem& subsystem) : subsystem_(subsystem) {}

  // Whether hosts can protect namespaces, that is, whether there is a store.
  bool is_offered() const;
  // Enforces it on every controller of each subsystem with the namespace, which has been added.
  void enforce(uint32_t nsid) const;

  // The state for Get Features: a namespace that the operator protects is at least in the Write Protect state.
  WriteProtection state(const NamespaceOptions& ns) const;
  bool is_protected(const NamespaceOptions& ns) const { return state(ns) != WriteProtection::None; }
  // A host's Set Features: in its turn (DispersedNamespaces) saved, then enforced, then notified to the hosts of all
  // those subsystems; then calls `done`, perhaps at once. A failure, also of saving it (Internal Error), changes
  // nothing as long as the daemon runs; Invalid Namespace: it has been removed meanwhile. The subsystem lives until
  // then.
  void change(uint32_t nsid, WriteProtection wanted, std::function<void(Status)> done);
  // The operator ends the Write Protect state that a host has set; the rest as change(). His own protection stays.
  void clear(uint32_t nsid, std::function<void(Status)> done);

 private:
  void save(const NamespaceOptions& ns, WriteProtection wanted, const std::function<void(Status)>& done);

  Subsystem& subsystem_;
};

}  // namespace nvmf::core
