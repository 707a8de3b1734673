#include "target/core/command/abort.h"

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {
namespace {

constexpr Status kAbortLimitExceeded = command_specific(NVME_SC_ABORT_LIMIT);

// Bit 0 of the result: not aborted.
void answer(Request& request, bool aborted) { finish(request, kSuccess, aborted ? 0 : 1); }

// The controller may have ended while the queue's thread was searching.
void aborted_on_queue(Request& request, bool aborted) {
  if (Controller* controller = request.queue->controller) controller->end_abort();
  answer(request, aborted);
}

// Of admin commands, only Asynchronous Event Requests wait long enough to be found.
void execute_abort(Request& request) {
  Controller& controller = controller_of(request);
  const auto sqid = static_cast<uint16_t>(request.sqe->cdw10);
  const auto cid = static_cast<uint16_t>(request.sqe->cdw10 >> 16);
  if (sqid == 0) return answer(request, controller.events().abort(cid));
  Queue* queue = controller.find_io_queue(sqid);
  if (queue == nullptr) return answer(request, false);
  if (!controller.begin_abort()) return finish(request, kAbortLimitExceeded);
  queue->link->abort(cid, [&request](bool aborted) { aborted_on_queue(request, aborted); });
}

}  // namespace

Status parse_abort(Request& request) { return ready_to_execute(request, execute_abort); }

// The queue's thread -------------------------------------------------------------------------------------------------

bool abort_executed(Request& request, Status status) {
  if (request.fused) return abort_half(request, status);
  if (request.ns == nullptr || !request.ns->gate->withdraw(request)) return false;
  finish(request, status);
  return true;
}

void drop_held(Request& request, void (*drop)(Request&)) {
  if (request.ns == nullptr) return;
  if (request.fused) return drop_half(request, drop);
  if (request.ns->gate->withdraw(request)) return drop(request);
  request.ns->channel->withdraw_rest(request);
  request.ns->channel->withdraw_rest(request.step);
}

Executor abort_instead(Status status) {
  if (status == kPreempted) return [](Request& request) { finish(request, kPreempted); };
  return [](Request& request) { finish(request, kAbortRequested); };
}

}  // namespace nvmf::core
