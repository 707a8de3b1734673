// The seam for reservations that persist through power loss (PTPL): what the daemon implements and the core calls, on
// the control thread. Both calls may block for the time of a few writes to a disk. What is saved of one namespace is
// loaded of every other on the same storage (NamespaceOptions).
#pragma once

#include <string>

#include "target/core/subsystem/reservation.h"

namespace nvmf::core {

struct NamespaceOptions;

class ReservationStore {
 public:
  virtual ~ReservationStore() = default;
  // What was saved last; an empty state when nothing was. Throws std::runtime_error, with what the operator is to do,
  // when something was saved that cannot be read: the namespace must not be served, for it may be reserved.
  virtual ReservationState load(const std::string& nqn, const NamespaceOptions& ns) = 0;
  // True: from now on load() gives `state`, whatever happens to the machine. False: it does not, or may not; the
  // implementation has told the operator why. Called before the command that changed the state is answered.
  virtual bool save(const std::string& nqn, const NamespaceOptions& ns, const ReservationState& state) = 0;
};

}  // namespace nvmf::core
