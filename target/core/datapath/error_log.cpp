#include "target/core/datapath/error_log.h"

#include "target/core/datapath/device_error.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/rate_limit.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {

void ErrorLog::collect(ErrorRing& ring) {
  CommandError error;
  while (ring.pop(error)) add(error);
}

nvme_error_log_page ErrorLog::entry(uint32_t age) const {
  nvme_error_log_page page{};
  if (age >= kEntries || age >= count_) return page;
  const uint64_t index = count_ - 1 - age;
  const CommandError& error = errors_[index % kEntries];
  page.error_count = index + 1;
  page.sqid = error.sqid;
  page.cmdid = error.cid;
  page.status_field = error.status;
  page.parm_error_location = error.location;
  page.lba = error.slba;
  page.nsid = error.nsid;
  page.trtype = NVMF_TRTYPE_RDMA;
  return page;
}

bool record_error(const Request& request, Status status) {
  Queue& queue = *request.queue;
  if (!queue.connected) return false;  // no controller has a log for it
  const nvme::Sqe& sqe = *request.sqe;
  const bool on_namespace = request.ns != nullptr;
  const CommandError error{.sqid = queue.qid,
                           .cid = sqe.cid,
                           .status = status.wire(),
                           .location = request.error_location,
                           .nsid = on_namespace ? sqe.nsid : 0,
                           .slba = on_namespace ? request.slba : 0};
  if (on_namespace && request.ns->device_errors != nullptr) request.ns->device_errors->note(status, steady_ns());
  const bool kept = queue.errors.push(error);
  if (queue.reactor == nullptr && queue.controller != nullptr) queue.controller->errors().collect(queue.errors);
  return kept && request.error_location != Request::kNoLocation;
}

}  // namespace nvmf::core
