// Keep Alive: NVMe Base 2.0, section 5.18.
#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {
namespace {

// The timer restarts when the command completes.
void execute_keep_alive(Request& request) {
  controller_of(request).restart_keep_alive(KeepAlive::Clock::now());
  finish(request, kSuccess);
}

}  // namespace

Status parse_keep_alive(Request& request) { return ready_to_execute(request, execute_keep_alive); }

}  // namespace nvmf::core
