#include "target/core/command/fabrics.h"

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/authentication.h"
#include "target/nvme/fabrics.h"

namespace nvmf::core {
namespace {

using nvme::DisconnectCommand;
using nvme::PropertyCommand;

const PropertyCommand& property_command(const Request& request) {
  return reinterpret_cast<const PropertyCommand&>(*request.sqe);
}

// ATTRIB: property size, 0: 4 bytes, 1: 8 bytes; 0 when it is neither.
uint8_t property_size(const PropertyCommand& command) {
  constexpr uint8_t kSizes[] = {4, 8};
  const uint8_t size = command.attrib & 0x7;
  return size < sizeof(kSizes) ? kSizes[size] : 0;
}

// Names the wrong field of a Property Get (or, by default, of a Property Set).
Status check_property(Request& request) {
  const PropertyCommand& command = property_command(request);
  const Properties& properties = controller_of(request).properties();
  const uint8_t size_bytes = property_size(command);
  if (size_bytes == 0) return invalid_field(request, offsetof(PropertyCommand, attrib));
  if (properties.read(command.offset, size_bytes)) return kSuccess;
  const bool other_size = properties.read(command.offset, size_bytes == 4 ? 8 : 4).has_value();
  return invalid_field(request, other_size ? offsetof(PropertyCommand, attrib) : offsetof(PropertyCommand, offset));
}

// Section 6.6
void execute_property_get(Request& request) {
  const PropertyCommand& command = property_command(request);
  const auto value = controller_of(request).properties().read(command.offset, property_size(command));
  finish(request, kSuccess, value.value_or(0));
}

Status parse_property_get(Request& request) {
  if (const Status status = check_property(request); !status.ok()) return status;
  return ready_to_execute(request, execute_property_get);
}

// Section 6.7. A host may write only CC, and where CAP.NSSRS allows it NSSR and CSTS.NSSRO.
void set_cc(Request& request) {
  controller_of(request).write_cc(static_cast<uint32_t>(property_command(request).value));
  finish(request, kSuccess);
}

void set_csts(Request& request) {
  controller_of(request).write_csts(static_cast<uint32_t>(property_command(request).value));
  finish(request, kSuccess);
}

// Any other value has no effect. The answer is sent before the connections end.
void set_nssr(Request& request) {
  const Controller& controller = controller_of(request);
  const bool resets = static_cast<uint32_t>(property_command(request).value) == Properties::kNssrSignature;
  finish(request, kSuccess);
  if (resets) controller.subsystem().reset(controller);
}

Executor property_setter(const Request& request) {
  const bool resets = controller_of(request).properties().supports_subsystem_reset();
  switch (property_command(request).offset) {
    case NVME_REG_CC:
      return set_cc;
    case NVME_REG_CSTS:
      return resets ? set_csts : nullptr;
    case NVME_REG_NSSR:
      return resets ? set_nssr : nullptr;
    default:
      return nullptr;
  }
}

Status parse_property_set(Request& request) {
  if (const Status status = check_property(request); !status.ok()) return status;
  const Executor set = property_setter(request);
  return set == nullptr ? invalid_field(request, offsetof(PropertyCommand, offset)) : ready_to_execute(request, set);
}

// Section 6.4. Answered when no other command of the queue can change the medium any more. The response is sent before
// the connection ends: it is sent (or is first in the reactor's mailbox) when disconnect() is called.
void finish_disconnect(Message& message) {
  Request& request = request_of(message);
  request.queue->connected = false;
  finish(request, Status(request.cqe.status));
}

void disconnect_on_control(Message& message) {
  Request& request = request_of(message);
  controller_of(request).delete_io_queue(*request.queue, [&request](Status status) {
    request.cqe.status = status.value();
    hop_back(request, finish_disconnect);
  });
}

void execute_disconnect(Request& request) { hop_to_control(request, disconnect_on_control); }

Status parse_disconnect(Request& request) {
  if (reinterpret_cast<const DisconnectCommand&>(*request.sqe).recfmt != 0) {
    request.error_location = offsetof(DisconnectCommand, recfmt);
    return command_specific(NVME_SC_CONNECT_FORMAT).do_not_retry();
  }
  return ready_to_execute(request, execute_disconnect);
}

enum QueueTypes : uint8_t { kAdminQueue = 1, kIoQueue = 2, kUnauthenticated = 4 };

struct FabricsCommand {
  const char* name;
  uint8_t fctype;
  uint8_t queues;  // QueueTypes; kUnauthenticated: also while the queue is not authenticated
  Status (*parse)(Request&);
};

constexpr FabricsCommand kFabricsCommands[] = {
    {"Property Set", nvme_fabrics_type_property_set, kAdminQueue, parse_property_set},
    {"Connect", nvme_fabrics_type_connect, kAdminQueue | kIoQueue | kUnauthenticated, parse_connect},
    {"Property Get", nvme_fabrics_type_property_get, kAdminQueue, parse_property_get},
    {"Authentication Send", nvme::kFctypeAuthenticationSend, kAdminQueue | kIoQueue | kUnauthenticated,
     parse_authentication_send},
    {"Authentication Receive", nvme::kFctypeAuthenticationReceive, kAdminQueue | kIoQueue | kUnauthenticated,
     parse_authentication_receive},
    {"Disconnect", nvme_fabrics_type_disconnect, kIoQueue, parse_disconnect},
};

}  // namespace

Status parse_fabrics(Request& request) {
  const Queue& queue = *request.queue;
  if (is_dropped(queue)) return kNoAnswer;
  const uint8_t fctype = request.sqe->fctype();
  const bool is_connect = fctype == nvme_fabrics_type_connect;
  if (queue.connected == is_connect) return command_sequence_error();
  for (const FabricsCommand& command : kFabricsCommands) {
    if (command.fctype != fctype) continue;
    if ((command.queues & (queue.qid == 0 ? kAdminQueue : kIoQueue)) == 0) {
      return command_specific(NVME_SC_DISCONNECT_INVALID_QTYPE).do_not_retry();
    }
    if (is_unauthenticated(queue) && (command.queues & kUnauthenticated) == 0) return authentication_required();
    return command.parse(request);
  }
  request.error_location = offsetof(PropertyCommand, fctype);
  return invalid_opcode();
}

void hop_to_control(Request& request, void (*step)(Message&)) {
  request.hop = {.deliver = step, .context = &request};
  if (request.queue->control == nullptr) return step(request.hop);
  request.queue->control->send(request.hop);
}

void hop_back(Request& request, void (*step)(Message&)) {
  request.hop = {.deliver = step, .context = &request};
  if (request.queue->reactor == nullptr) return step(request.hop);
  request.queue->reactor->send(request.hop);
}

// The completion entry, which finish() completes, carries the status.
void end_from_control(Request& request, Status status) {
  request.cqe.status = status.value();
  hop_back(request, [](Message& message) {
    Request& back = request_of(message);
    finish(back, Status(back.cqe.status));
  });
}

}  // namespace nvmf::core
