#include "target/core/command/reservation_feature.h"

#include <vector>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

constexpr size_t kCdw11 = offsetof(nvme::Sqe, cdw11);
constexpr uint32_t kPtpl = 1;

// The namespaces of Set Features: one, or with FFFFFFFFh all. The NSID has been checked, except for 0.
std::vector<uint32_t> namespaces_of(const Request& request) {
  if (request.sqe->nsid != NVME_NSID_ALL) return {request.sqe->nsid};
  std::vector<uint32_t> all;
  for (const NamespaceOptions& ns : subsystem_of(request).namespaces()) {
    if ((controller_of(request).denials(ns.nsid) & kHidden) == 0) all.push_back(ns.nsid);
  }
  return all;
}

}  // namespace

uint32_t get_notification_mask(const Request& request) {
  return controller_of(request).reservation_notifications().mask(request.sqe->nsid);
}

Status set_notification_mask(Request& request) {
  const uint32_t mask = request.sqe->cdw11;
  if (request.sqe->nsid == 0) return invalid_namespace(request);
  if ((mask & ~ReservationNotifications::kMasks) != 0) return invalid_field(request, kCdw11);
  for (const uint32_t nsid : namespaces_of(request)) {
    controller_of(request).reservation_notifications().set_mask(nsid, mask);
  }
  return kSuccess;
}

uint32_t get_persistence(const Request& request) {
  return subsystem_of(request).reservations().of(request.sqe->nsid).state().ptpl ? kPtpl : 0;
}

Status set_persistence(Request& request) {
  const bool ptpl = (request.sqe->cdw11 & kPtpl) != 0;
  SubsystemReservations& reservations = subsystem_of(request).reservations();
  if (request.sqe->nsid == 0) return invalid_namespace(request);
  if ((request.sqe->cdw11 & ~kPtpl) != 0) return invalid_field(request, kCdw11);
  if (ptpl && !reservations.can_persist()) return invalid_field(request, kCdw11);
  const auto set_ptpl = [ptpl](Reservation& reservation) {
    reservation.set_ptpl(ptpl);
    return kSuccess;
  };
  for (const uint32_t nsid : namespaces_of(request)) {
    if (const Status status = reservations.change(nsid, set_ptpl); !status.ok()) return status;
  }
  return kSuccess;
}

}  // namespace nvmf::core
