// The command sets as tables: opcode -> name, parser, effects. The parser dispatches on them and the Commands Supported
// and Effects log page is read from them: NVMe Base 2.0, sections 3.1.2 and 5.16.1.6.
#pragma once

#include <array>
#include <cstdint>

#include "target/core/datapath/request.h"
#include "target/core/subsystem/controller_types.h"

namespace nvmf::core {

struct Command {
  const char* name = nullptr;                                      // the specification's
  Status (*parse)(Request&) = nullptr;                             // null: not supported
  uint32_t effects = 0;                                            // NVME_CMD_EFFECTS_*
  uint8_t controllers = 0;                                         // ControllerTypes
  uint8_t command_sets = 1u << NVME_CSI_NVM | 1u << NVME_CSI_ZNS;  // I/O commands: a bit for each CSI
};
using CommandTable = std::array<Command, 256>;

extern const CommandTable kAdminCommands;  // admin_command.cpp
extern const CommandTable kIoCommands;     // io_command.cpp

// Parses a capsule's SQE, once: checks it, picks executor, direction, length and namespace. Any failure
// is the status to finish the request with. Called on the queue's thread.
Status parse(Request& request);

// Parsers by chapter. Each is called on the queue's thread once opcode, controller state, FUSE and PSDT are right.
Status parse_fabrics(Request& request);                 // fabrics.cpp: admin and I/O queues, connected or not
Status parse_admin(Request& request);                   // admin_command.cpp
Status parse_identify(Request& request);                // identify.cpp
Status parse_get_log_page(Request& request);            // log_page.cpp
Status parse_get_features(Request& request);            // features.cpp
Status parse_set_features(Request& request);            // features.cpp
Status parse_async_event_request(Request& request);     // async_event_request.cpp
Status parse_keep_alive(Request& request);              // keep_alive_command.cpp
Status parse_abort(Request& request);                   // abort.cpp
Status parse_cross_controller_reset(Request& request);  // cross_controller_reset.cpp
Status parse_reservation_register(Request& request);    // reservation_command.cpp
Status parse_reservation_acquire(Request& request);     // reservation_command.cpp
Status parse_reservation_release(Request& request);     // reservation_command.cpp
Status parse_reservation_report(Request& request);      // reservation_command.cpp

// FUSE and PSDT, command dword 0: neither fused commands nor PRPs.
Status check_flags(Request& request);

inline Status command_sequence_error() { return Status(NVME_SC_CMD_SEQ_ERROR).do_not_retry(); }
inline Status authentication_required() { return command_specific(NVME_SC_AUTH_REQUIRED).do_not_retry(); }
inline Status invalid_opcode() { return Status(NVME_SC_INVALID_OPCODE).do_not_retry(); }
// The I/O command sets of every subsystem, whatever namespaces it has.
constexpr bool is_served(uint8_t csi) { return csi == NVME_CSI_NVM || csi == NVME_CSI_ZNS; }

inline Status invalid_namespace(Request& request) {
  request.error_location = offsetof(nvme::Sqe, nsid);
  return Status(NVME_SC_INVALID_NS).do_not_retry();
}

// What the transport needs to know of a command without data, or with data that the CPU reads or writes.
inline Status ready_to_execute(Request& request, Executor execute) {
  request.execute = execute;
  return kSuccess;
}
inline Status ready_to_receive(Request& request, uint32_t length_bytes, Executor execute) {
  request.transfer = Transfer::HostToController;
  request.processor_needs_data = true;
  request.length_bytes = length_bytes;
  request.execute = execute;
  return kSuccess;
}
inline Status ready_to_reply(Request& request, uint32_t length_bytes, Executor execute) {
  request.transfer = Transfer::ControllerToHost;
  request.processor_needs_data = true;
  request.length_bytes = length_bytes;
  request.execute = execute;
  return kSuccess;
}

// Completes a command that ready_to_reply() prepared, with `data`, cut to the length that the host asked for or
// followed by zeroes.
void reply(Request& request, const void* data, size_t size_bytes);
template <typename Structure>
void reply(Request& request, const Structure& structure) {
  reply(request, &structure, sizeof(structure));
}

}  // namespace nvmf::core
