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

  // Enforces the reservation on every controller, after a namespace has been added.
  void enforce(uint32_t nsid) const;
  // A controller has been created.
  void enforce_on(Controller& controller) const;

  // The namespace exists.
  const Reservation& of(uint32_t nsid) const;
  // Whether PTPL can be set.
  bool can_persist() const;

  // Runs `action` on the namespace's reservation in its turn (DispersedNamespaces), saves the change, enforces it and
  // notifies hosts; then calls `done`, perhaps at once. A failure, also of saving it (Internal Error), changes nothing
  // as long as the daemon runs; Invalid Namespace: it has been removed meanwhile. The subsystem lives until then.
  void change(uint32_t nsid, std::function<Status(Reservation&)> action, std::function<void(Status)> done);

  // The operator ends the reservation and every registration (Reservation::clear()); the rest as change().
  void clear(uint32_t nsid, std::function<void(Status)> done);

 private:
  void save(const NamespaceOptions& ns, const Reservation& next, const std::function<void(Status)>& done);

  Subsystem& subsystem_;
};

}  // namespace nvmf::core
