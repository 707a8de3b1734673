// Reservations that persist through power loss: one small JSON file per storage, or namespace where it has none, in the
// directory "state_dir".
#pragma once

#include <string>

#include "target/core/subsystem/reservation_store.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class ReservationFiles : public core::ReservationStore {
 public:
  // Creates the directory when it is missing. A directory that cannot be created or written to is logged; hosts that
  // ask for persistence are then refused.
  explicit ReservationFiles(StateDirectory directory);

  // For a storage without saved state: the state that a former version saved for the namespace.
  core::ReservationState load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  bool save(const std::string& nqn, const core::NamespaceOptions& ns, const core::ReservationState& state) override;

  // The file that load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
