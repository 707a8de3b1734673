// Admin commands: NVMe Base 2.0, section 5.
#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {
namespace {

constexpr CommandTable make_table() {
  constexpr uint32_t kSupported = NVME_CMD_EFFECTS_CSUPP;
  CommandTable table{};
  table[nvme_admin_get_log_page] = {"Get Log Page", parse_get_log_page, kSupported, kAnyController};
  table[nvme_admin_identify] = {"Identify", parse_identify, kSupported, kAnyController};
  table[nvme_admin_abort_cmd] = {"Abort", parse_abort, kSupported, kIoController};
  table[nvme_admin_set_features] = {"Set Features", parse_set_features, kSupported, kAnyController};
  table[nvme_admin_get_features] = {"Get Features", parse_get_features, kSupported, kAnyController};
  table[nvme_admin_async_event] = {"Asynchronous Event Request", parse_async_event_request, kSupported, kAnyController};
  table[nvme_admin_keep_alive] = {"Keep Alive", parse_keep_alive, kSupported, kAnyController};
  table[nvme::kAdminCrossControllerReset] = {"Cross-Controller Reset", parse_cross_controller_reset, kSupported,
                                             kIoController};
  return table;
}

}  // namespace

constinit const CommandTable kAdminCommands = make_table();

Status parse_admin(Request& request) {
  if (is_dropped(*request.queue)) return kNoAnswer;
  if (is_unauthenticated(*request.queue)) return authentication_required();
  const Controller& controller = controller_of(request);
  if (!controller.ready()) return controller.is_closing() ? kNoAnswer : command_sequence_error();
  if (const Status status = check_flags(request); !status.ok()) return status;
  const Command& command = kAdminCommands[request.sqe->opcode];
  if ((command.controllers & controller.type()) == 0) return invalid_opcode();
  return command.parse(request);
}

}  // namespace nvmf::core
