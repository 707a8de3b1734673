// Namespace Write Protection: NVMe Base 2.0, section 8.12. The states that hosts put a subsystem's namespaces into,
// beside the operator's own protection (NamespaceOptions::write_protected). Control thread only.
#pragma once

#include <cstdint>
#include <string>

#include "target/core/datapath/status.h"
#include "target/nvme/types.h"

namespace nvmf::core {

class Subsystem;
struct NamespaceOptions;

enum class WriteProtection : uint8_t {
  None = NVME_FEAT_NS_NO_WRITE_PROTECT,
  Protected = NVME_FEAT_NS_WRITE_PROTECT,
  UntilPowerCycle =
      NVME_FEAT_NS_WRITE_PROTECT_PWR_CYCLE,  // until the namespace is taken out, or the daemon starts anew
  Permanent = NVME_FEAT_NS_WRITE_PROTECT_PERMANENT,
};

// Where the states are kept that outlast a power cycle: what the daemon implements and the core calls. Both calls may
// block for the time of a few writes to a disk. What is saved of one namespace is loaded of every other on the same
// storage (NamespaceOptions); without one, a namespace with other identifiers is another one.
class WriteProtectionStore {
 public:
  virtual ~WriteProtectionStore() = default;
  // What was saved last; None when nothing was. Throws std::runtime_error, with what the operator is to do, when it
  // cannot be read: the namespace must not be served.
  virtual WriteProtection load(const std::string& nqn, const NamespaceOptions& ns) = 0;
  // True: from now on load() gives `state`, whatever happens to the machine. False: it does not, or may not; the
  // implementation has told the operator why.
  virtual bool save(const std::string& nqn, const NamespaceOptions& ns, WriteProtection state) = 0;
};

class SubsystemWriteProtection {
 public:
  explicit SubsystemWriteProtection(Subsystem& subsystem) : subsystem_(subsystem) {}

  // Whether hosts can protect namespaces: where the states have a place.
  bool is_offered() const;
  // What was saved of a namespace that is about to be added. Throws as WriteProtectionStore::load() does.
  WriteProtection load(const NamespaceOptions& ns) const;
  // On every controller of each subsystem that the namespace is in; it has been added.
  void enforce(uint32_t nsid) const;

  // What Get Features says: a namespace that the operator protects is in the Write Protect state at least.
  WriteProtection state(const NamespaceOptions& ns) const;
  bool is_protected(const NamespaceOptions& ns) const { return state(ns) != WriteProtection::None; }
  // A host's Set Features: saved, then enforced, then told to the hosts of all those subsystems. A failure changes
  // nothing.
  Status change(const NamespaceOptions& ns, WriteProtection wanted);

 private:
  Subsystem& subsystem_;
};

}  // namespace nvmf::core
