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

void enforce(const DispersedNamespace& ns) {
  for (const auto& place : ns.places) {
    for (const auto& controller : place.subsystem->controllers()) enforce(place.nsid, ns.reservation, *controller);
  }
}

void tell(const DispersedNamespace& ns, const ReservationNotice& notice) {
  for (const auto& [subsystem, nsid] : ns.places) {
    for (const auto& controller : subsystem->controllers()) {
      if (controller->host().id == notice.host) controller->notify_of_reservation(nsid, notice.type);
    }
  }
}

}  // namespace

void SubsystemReservations::enforce(uint32_t nsid) const { core::enforce(subsystem_.dispersed_namespace(nsid)); }

void SubsystemReservations::enforce_on(Controller& controller) const {
  for (const NamespaceOptions& ns : subsystem_.namespaces()) core::enforce(ns.nsid, of(ns.nsid), controller);
}

const Reservation& SubsystemReservations::of(uint32_t nsid) const {
  return subsystem_.dispersed_namespace(nsid).reservation;
}

bool SubsystemReservations::can_persist() const { return subsystem_.target().reservation_store != nullptr; }

void SubsystemReservations::change(uint32_t nsid, std::function<Status(Reservation&)> action,
                                   std::function<void(Status)> done) {
  const auto change = [this, action = std::move(action)](const NamespaceOptions& ns,
                                                         const DispersedNamespaces::End& end) {
    Reservation next(of(ns.nsid).state());
    if (const Status status = action(next); !status.ok()) return end(status);
    save(ns, next, end);
  };
  subsystem_.target().dispersed_namespaces().change_in_turn(subsystem_, nsid, change, std::move(done));
}

void SubsystemReservations::clear(uint32_t nsid, std::function<void(Status)> done) {
  const auto clear_all = [](Reservation& reservation) {
    reservation.clear();
    return kSuccess;
  };
  change(nsid, clear_all, std::move(done));
}

// A state without PTPL does not survive, so an empty state is saved when PTPL is cleared. Enforced before the hosts are
// notified, and before the command is answered. The namespace, and the subsystem that it was changed in, may be gone
// when the state is saved.
void SubsystemReservations::save(const NamespaceOptions& ns, const Reservation& next,
                                 const std::function<void(Status)>& done) {
  DispersedNamespaces& all = subsystem_.target().dispersed_namespaces();
  const auto hold = [&all, storage = DispersedNamespaces::storage_of(subsystem_, ns), next, done](bool saved) {
    DispersedNamespace* const everywhere = all.find(storage);
    if (everywhere != nullptr) everywhere->saved_reservation_is_unknown = !saved;
    if (!saved) return done(NVME_SC_INTERNAL);
    if (everywhere != nullptr) {
      everywhere->reservation = Reservation(next.state());
      core::enforce(*everywhere);
      for (const ReservationNotice& notice : next.notices()) tell(*everywhere, notice);
    }
    done(kSuccess);
  };
  const DispersedNamespace& now = subsystem_.dispersed_namespace(ns.nsid);
  const ReservationState& before = now.reservation.state();
  const ReservationState& after = next.state();
  const bool must_be_saved = (before.ptpl || after.ptpl) && !(before == after);
  if (!must_be_saved && !now.saved_reservation_is_unknown) return hold(true);
  subsystem_.target().reservation_store->save(subsystem_.nqn(), ns, after.ptpl ? after : ReservationState{}, hold);
}

}  // namespace nvmf::core
