// The seam for reservations that persist through power loss (PTPL): the daemon implements it and the core calls it, on
// the control thread. Both calls may block for the time of a few writes to a disk. The state that is saved for one
// namespace is loaded for every other on the same storage (NamespaceOptions).
#pragma once

#include <string>

#include "target/core/subsystem/reservation.h"

namespace nvmf::core {

struct NamespaceOptions;

class ReservationStore {
 public:
  virtual ~ReservationStore() = default;
  // The last saved state; an empty state when nothing was saved. Throws std::runtime_error with a remedy when the saved
  // state cannot be read: the namespace must not be served, because it may be reserved.
  virtual ReservationState load(const std::string& nqn, const NamespaceOptions& ns) = 0;
  // True: from now on load() gives `state`, even after a crash or power loss. False: it may not; the implementation has
  // logged why. Called before the command that changed the state is answered.
  virtual bool save(const std::string& nqn, const NamespaceOptions& ns, const ReservationState& state) = 0;
};

}  // namespace nvmf::core
