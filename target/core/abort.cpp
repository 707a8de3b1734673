// Abort: NVMe Base 2.0, section 5.1.
#include "target/core/command.h"
#include "target/core/controller.h"
#include "target/core/queue.h"

namespace nvmf::core {
namespace {

// Only Asynchronous Event Requests stay long enough for an abort to find them. Bit 0 of the result: not aborted.
void execute_abort(Request& request) {
  constexpr uint64_t kAborted = 0;
  constexpr uint64_t kNotAborted = 1;
  const auto sqid = static_cast<uint16_t>(request.sqe->cdw10);
  const auto cid = static_cast<uint16_t>(request.sqe->cdw10 >> 16);
  const bool found = sqid == 0 && request.queue->controller->events().abort(cid);
  finish(request, kSuccess, found ? kAborted : kNotAborted);
}

}  // namespace

Status parse_abort(Request& request) { return ready_to_execute(request, execute_abort); }

}  // namespace nvmf::core
