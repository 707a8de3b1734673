// Asymmetric Namespace Access (ANA): NVMe Base 2.0, section 8.1. The state of the path through each port to the
// namespaces of a group. Control thread only.
#pragma once

#include <cstdint>
#include <map>

#include "target/core/datapath/denial.h"
#include "target/nvme/types.h"

namespace nvmf::core {

class Controller;
struct NamespaceOptions;

enum class AnaState : uint8_t {
  Optimized = NVME_ANA_STATE_OPTIMIZED,
  NonOptimized = NVME_ANA_STATE_NONOPTIMIZED,
  Inaccessible = NVME_ANA_STATE_INACCESSIBLE,
  PersistentLoss = NVME_ANA_STATE_PERSISTENT_LOSS,
  Change = NVME_ANA_STATE_CHANGE,
};

// ANATT: how long hosts wait for the end of the change state. Linux resets a controller whose group stays in it.
inline constexpr uint8_t kAnaTransitionSeconds = 10;

// How far a port has come that is about to be drained, in the order of its steps. Until it is withdrawn no more all
// groups have this state there.
enum class Withdrawal : uint8_t {
  No,
  Changing,   // AnaState::Change
  Withdrawn,  // AnaState::Inaccessible
};

inline constexpr Denials kAnaDenials = kAnaInaccessible | kAnaPersistentLoss | kAnaTransition;

// The groups of one subsystem, as the ANA log page of a controller on each port shows them: section 5.16.1.10.
class AnaStates {
 public:
  AnaState state(uint32_t group, uint16_t port_id) const;
  AnaState configured_state(uint32_t group, uint16_t port_id) const { return at(group, port_id).state; }
  // CHGCNT of the group's descriptor and of the log page; never 0, which would mean that changes are not counted.
  uint64_t change_count(uint32_t group, uint16_t port_id) const { return at(group, port_id).changes; }
  uint64_t log_change_count(uint16_t port_id) const;

  // False: the group already has this state.
  bool set(uint32_t group, uint16_t port_id, AnaState state);
  // The port is a worse way to the group than others: it is non-optimized there while it is set to be optimized. False:
  // the group has the state that it had.
  bool set_distant(uint32_t group, uint16_t port_id, bool distant);
  void withdraw(uint16_t port_id, Withdrawal step) { ports_[port_id].withdrawal = step; }
  Withdrawal withdrawal(uint16_t port_id) const;
  // A namespace was added to or removed from the group.
  void members_changed(uint32_t group, uint16_t port_id);

 private:
  struct Group {
    AnaState state = AnaState::Optimized;
    bool distant = false;
    uint64_t changes = 1;
  };
  struct Port {
    std::map<uint32_t, Group> groups;
    uint64_t changes = 1;
    Withdrawal withdrawal = Withdrawal::No;
  };
  Group at(uint32_t group, uint16_t port_id) const;

  std::map<uint16_t, Port> ports_;  // ports and groups that never changed are not here
};

// The state of a namespace for the host of `controller`.
AnaState ana_state(const Controller& controller, const NamespaceOptions& ns);

// Lets the host of `controller` do with `ns` what its state allows, and nothing else. A host that has never read the
// ANA log page does not know ANA and would take the status of an inaccessible namespace for an I/O error: of a
// withdrawn port the host hears nothing but the end of its connection.
void apply_ana_state(Controller& controller, const NamespaceOptions& ns);

}  // namespace nvmf::core
