// Reservations that persist through power loss: one small JSON file per namespace, in the directory "state_dir".
#pragma once

#include <string>

#include "target/core/reservation_store.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class ReservationFiles : public core::ReservationStore {
 public:
  // Makes the directory where there is none. One that cannot be made or written to is logged; hosts that ask for
  // persistence are then refused.
  explicit ReservationFiles(StateDirectory directory);

  core::ReservationState load(const std::string& nqn, uint32_t nsid) override;
  bool save(const std::string& nqn, uint32_t nsid, const core::ReservationState& state) override;

  // Of one namespace, whether it exists or not.
  std::string path_of(const std::string& nqn, uint32_t nsid) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
