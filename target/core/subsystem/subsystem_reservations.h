// The reservations on a subsystem's namespaces: each change is saved, enforced on every controller, also of the other
// subsystems that the namespace is in, and notified to the hosts that it concerns. NVMe Base 2.0, section 8.19. Control
// thread only.
#pragma once

#include <cstdint>
#include <functional>

#include "target/core/subsystem/reservation.h"

namespace nvmf::core {

class Controller;
class Subsystem;
struct NamespaceOptions;

class SubsystemReservations {
 public:
  explicit SubsystemReservations(Subsystem& subsystem) : subsystem_(subsystem) {}

  // The saved state of a namespace that is about to be added. Throws as ReservationStore::load() does.
  ReservationState load(const NamespaceOptions& ns) const;
  // Enforces the reservation on every controller, after a namespace has been added.
  void enforce(uint32_t nsid) const;
  // A controller has been created.
  void enforce_on(Controller& controller) const;

  // The namespace exists.
  const Reservation& of(uint32_t nsid) const;
  // Whether PTPL can be set.
  bool can_persist() const;

  // Runs `action` on the namespace's reservation. A failure, also of saving it (Internal Error), changes nothing.
  Status change(uint32_t nsid, const std::function<Status(Reservation&)>& action);

 private:
  bool save(uint32_t nsid, const ReservationState& before, const ReservationState& after) const;

  Subsystem& subsystem_;
};

}  // namespace nvmf::core
