#include "target/core/command/reservation_feature.h"

#include <memory>
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

// The change of one namespace or of all of them.
struct PersistenceChange {
  size_t left;  // namespaces
  Status failure = kSuccess;
};

void end_set_persistence(Request& request, Status status) {
  if (status.ok()) subsystem_of(request).persistent_events().feature_set(controller_of(request), *request.sqe);
  finish(request, status);
}

// Each namespace in its turn. The first failure is the answer.
void execute_set_persistence(Request& request) {
  const auto set_ptpl = [ptpl = (request.sqe->cdw11 & kPtpl) != 0](Reservation& reservation) {
    reservation.set_ptpl(ptpl);
    return kSuccess;
  };
  const std::vector<uint32_t> nsids = namespaces_of(request);
  if (nsids.empty()) return end_set_persistence(request, kSuccess);
  const auto change = std::make_shared<PersistenceChange>(PersistenceChange{.left = nsids.size()});
  for (const uint32_t nsid : nsids) {
    subsystem_of(request).reservations().change(nsid, set_ptpl, [&request, change](Status status) {
      if (change->failure.ok()) change->failure = status;
      if (--change->left == 0) end_set_persistence(request, change->failure);
    });
  }
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

Status parse_set_persistence(Request& request) {
  if (request.sqe->nsid == 0) return invalid_namespace(request);
  if ((request.sqe->cdw11 & ~kPtpl) != 0) return invalid_field(request, kCdw11);
  const bool ptpl = (request.sqe->cdw11 & kPtpl) != 0;
  if (ptpl && !subsystem_of(request).reservations().can_persist()) return invalid_field(request, kCdw11);
  return ready_to_execute(request, execute_set_persistence);
}

}  // namespace nvmf::core
