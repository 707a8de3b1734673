// The seam for reservations that persist through power loss (PTPL): the daemon implements it and the core calls it. The
// state that is saved for one namespace is loaded for every other on the same storage (NamespaceOptions).
#pragma once

#include <functional>
#include <string>

#include "target/core/subsystem/reservation.h"

namespace nvmf::core {

struct NamespaceOptions;

class ReservationStore {
 public:
  virtual ~ReservationStore() = default;
  // The last saved state; an empty state when nothing was saved. Throws std::runtime_error with a remedy when the saved
  // state cannot be read: the namespace must not be served, because it may be reserved. May block for the time of a
  // read. The control thread, when a namespace is added, or another one, when that is rehearsed; at the same time as a
  // save.
  virtual ReservationState load(const std::string& nqn, const NamespaceOptions& ns) = 0;
  // Does not block. Calls `saved` on the control thread, at once or later. True: from now on load() gives `state`, even
  // after a crash or power loss. False: load() gives `state` or the former one; the implementation has logged why. The
  // command that changes the state is answered then, and no other save for the same storage begins before.
  virtual void save(const std::string& nqn, const NamespaceOptions& ns, const ReservationState& state,
                    std::function<void(bool)> saved) = 0;
};

}  // namespace nvmf::core
