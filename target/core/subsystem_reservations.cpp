#include "target/core/subsystem_reservations.h"

#include "target/core/controller.h"
#include "target/core/reservation_store.h"
#include "target/core/subsystem.h"
#include "target/core/target.h"

namespace nvmf::core {

void SubsystemReservations::add_namespace(uint32_t nsid) {
  ReservationStore* store = subsystem_.target().reservation_store;
  const auto [place, is_new] =
      reservations_.emplace(nsid, store != nullptr ? store->load(subsystem_.nqn(), nsid) : ReservationState{});
  for (const auto& controller : subsystem_.controllers()) enforce(nsid, place->second, *controller);
}

void SubsystemReservations::remove_namespace(uint32_t nsid) {
  reservations_.erase(nsid);
  for (const auto& controller : subsystem_.controllers()) {
    controller->permit(nsid, kReservedFromReads | kReservedFromWrites);
  }
}

void SubsystemReservations::enforce_on(Controller& controller) const {
  for (const auto& [nsid, reservation] : reservations_) enforce(nsid, reservation, controller);
}

bool SubsystemReservations::can_persist() const { return subsystem_.target().reservation_store != nullptr; }

// Enforced before the hosts hear of it, and before the command is answered.
Status SubsystemReservations::change(uint32_t nsid, const std::function<Status(Reservation&)>& action) {
  Reservation& current = reservations_.at(nsid);
  Reservation next(current.state());
  if (const Status status = action(next); !status.ok()) return status;
  if (!save(nsid, current.state(), next.state())) return NVME_SC_INTERNAL;
  current = Reservation(next.state());
  for (const auto& controller : subsystem_.controllers()) enforce(nsid, current, *controller);
  for (const ReservationNotice& notice : next.notices()) tell(nsid, notice);
  return kSuccess;
}

// Nothing of a state without PTPL survives, so that is what is saved when PTPL goes.
bool SubsystemReservations::save(uint32_t nsid, const ReservationState& before, const ReservationState& after) const {
  const bool persists = before.ptpl || after.ptpl;
  if (!persists || before == after) return true;
  return subsystem_.target().reservation_store->save(subsystem_.nqn(), nsid, after.ptpl ? after : ReservationState{});
}

void SubsystemReservations::enforce(uint32_t nsid, const Reservation& reservation, Controller& controller) const {
  constexpr Denials kReserved = kReservedFromReads | kReservedFromWrites;
  const Denials denials = reservation.denials(controller.host().id);
  controller.deny(nsid, denials);
  controller.permit(nsid, static_cast<Denials>(kReserved & ~denials));
}

void SubsystemReservations::tell(uint32_t nsid, const ReservationNotice& notice) const {
  for (const auto& controller : subsystem_.controllers()) {
    if (controller->host().id == notice.host) controller->notify_of_reservation(nsid, notice.type);
  }
}

}  // namespace nvmf::core
