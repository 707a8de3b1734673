// Reservations that persist through power loss: one small JSON file per storage, or namespace where it has none, in the
// directory "state_dir".
#pragma once

#include <string>

#include "target/core/subsystem/reservation_store.h"
#include "target/daemon/state_directory.h"
#include "target/daemon/state_writer.h"

namespace nvmf::daemon {

class ReservationFiles : public core::ReservationStore {
 public:
  static constexpr char kPurpose[] = "reservation";  // StateDirectory's

  // Creates the directory when it is missing. A directory that cannot be created or written to is logged; hosts that
  // ask for persistence are then refused.
  explicit ReservationFiles(StateDirectory directory, StateWriter writer = write_at_once);

  // For a storage without saved state: the state that a former version saved for the namespace.
  core::ReservationState load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  void save(const std::string& nqn, const core::NamespaceOptions& ns, const core::ReservationState& state,
            std::function<void(bool)> saved) override;
  // What save() has the writer do. False: it was not saved, which is logged. Blocks; any thread.
  bool write(const std::string& nqn, const core::NamespaceOptions& ns, const core::ReservationState& state) const;

  // The file that load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
  StateWriter writer_;
};

}  // namespace nvmf::daemon
