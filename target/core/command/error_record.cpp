#include "target/core/command/error_record.h"

#include "target/core/datapath/device_error.h"
#include "target/core/datapath/queue.h"
#include "target/core/reactor/clock.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {

bool record_error(const Request& request, Status status) {
  Queue& queue = *request.queue;
  if (!queue.connected) return false;  // no controller has a log for this queue
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
