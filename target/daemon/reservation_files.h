// Reservations that persist through power loss: one small JSON file per storage, or namespace where it has none, in the
// directory "state_dir".
#pragma once

#include <string>

#include "target/core/subsystem/reservation_store.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class ReservationFiles : public core::ReservationStore {
 public:
  // Makes the directory where there is none. One that cannot be made or written to is logged; hosts that ask for
  // persistence are then refused.
  explicit ReservationFiles(StateDirectory directory);

  // Of a storage of which nothing was saved, what a former version saved of the namespace.
  core::ReservationState load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  bool save(const std::string& nqn, const core::NamespaceOptions& ns, const core::ReservationState& state) override;

  // What load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
