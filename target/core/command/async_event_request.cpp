// Asynchronous Event Request: NVMe Base 2.0, section 5.2.
#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {
namespace {

void execute_async_event_request(Request& request) { controller_of(request).events().park(request); }

}  // namespace

Status parse_async_event_request(Request& request) {
  request.awaits_event = true;
  return ready_to_execute(request, execute_async_event_request);
}

}  // namespace nvmf::core
