#include "target/core/subsystem/subsystem_reservations.h"

#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/reservation_store.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {

namespace {

void enforce(uint32_t nsid, const Reservation& reservation, Controller& controller) {
  constexpr Denials kReserved = kReservedFromReads | kReservedFromWrites;
  const Denials denials = reservation.denials(controller.host().id);
  controller.deny(nsid, denials);
  controller.permit(nsid, static_cast<Denials>(kReserved & ~denials));
}

void tell(const DispersedNamespace& ns, const ReservationNotice& notice) {
  for (const auto& [subsystem, nsid] : ns.places) {
    for (const auto& controller : subsystem->controllers()) {
      if (controller->host().id == notice.host) controller->notify_of_reservation(nsid, notice.type);
    }
  }
}

}  // namespace

ReservationState SubsystemReservations::load(const NamespaceOptions& ns) const {
  ReservationStore* store = subsystem_.target().reservation_store;
  return store != nullptr ? store->load(subsystem_.nqn(), ns) : ReservationState{};
}

void SubsystemReservations::enforce(uint32_t nsid) const {
  const DispersedNamespace& ns = subsystem_.dispersed_namespace(nsid);
  for (const auto& place : ns.places) {
    for (const auto& controller : place.subsystem->controllers())
      core::enforce(place.nsid, ns.reservation, *controller);
  }
}

void SubsystemReservations::enforce_on(Controller& controller) const {
  for (const NamespaceOptions& ns : subsystem_.namespaces()) core::enforce(ns.nsid, of(ns.nsid), controller);
}

const Reservation& SubsystemReservations::of(uint32_t nsid) const {
  return subsystem_.dispersed_namespace(nsid).reservation;
}

bool SubsystemReservations::can_persist() const { return subsystem_.target().reservation_store != nullptr; }

// Enforced before the hosts are notified, and before the command is answered.
Status SubsystemReservations::change(uint32_t nsid, const std::function<Status(Reservation&)>& action) {
  DispersedNamespace& ns = subsystem_.dispersed_namespace(nsid);
  Reservation next(ns.reservation.state());
  if (const Status status = action(next); !status.ok()) return status;
  if (!save(nsid, ns.reservation.state(), next.state())) return NVME_SC_INTERNAL;
  ns.reservation = Reservation(next.state());
  enforce(nsid);
  for (const ReservationNotice& notice : next.notices()) tell(ns, notice);
  return kSuccess;
}

// A state without PTPL does not survive, so an empty state is saved when PTPL is cleared.
bool SubsystemReservations::save(uint32_t nsid, const ReservationState& before, const ReservationState& after) const {
  const bool persists = before.ptpl || after.ptpl;
  if (!persists || before == after) return true;
  return subsystem_.target().reservation_store->save(subsystem_.nqn(), *subsystem_.find_namespace(nsid),
                                                     after.ptpl ? after : ReservationState{});
}

}  // namespace nvmf::core
