// The reservations on a subsystem's namespaces: each change is saved, enforced on every controller and told to the
// hosts that it concerns. NVMe Base 2.0, section 8.19. Control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "target/core/reservation.h"

namespace nvmf::core {

class Controller;
class Subsystem;

class SubsystemReservations {
 public:
  explicit SubsystemReservations(Subsystem& subsystem) : subsystem_(subsystem) {}

  // A namespace is about to be added: its reservation is loaded and enforced. Throws as ReservationStore::load() does.
  void add_namespace(uint32_t nsid);
  // It has been removed: a reservation that was not saved is forgotten.
  void remove_namespace(uint32_t nsid);
  // A controller has been created.
  void enforce_on(Controller& controller) const;

  // The namespace exists.
  const Reservation& of(uint32_t nsid) const { return reservations_.at(nsid); }
  // Whether PTPL can be set.
  bool can_persist() const;

  // Does `action` on the namespace's reservation. A failure, also that of saving it (Internal Error), changes nothing.
  Status change(uint32_t nsid, const std::function<Status(Reservation&)>& action);

 private:
  bool save(uint32_t nsid, const ReservationState& before, const ReservationState& after) const;
  void enforce(uint32_t nsid, const Reservation& reservation, Controller& controller) const;
  void tell(uint32_t nsid, const ReservationNotice& notice) const;

  Subsystem& subsystem_;
  std::map<uint32_t, Reservation> reservations_;  // by NSID
};

}  // namespace nvmf::core
