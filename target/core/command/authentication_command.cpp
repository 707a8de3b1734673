// Authentication Send and Authentication Receive: NVMe Base 2.0, sections 6.1 and 6.2. What their messages mean:
// target/core/subsystem/authentication.h.
#include <algorithm>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/fabrics.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/authentication.h"
#include "target/core/subsystem/controller.h"
#include "target/nvme/authentication.h"

namespace nvmf::core {
namespace {

using nvme::AuthenticationCommand;

const AuthenticationCommand& authentication_command(const Request& request) {
  return reinterpret_cast<const AuthenticationCommand&>(*request.sqe);
}

// Both commands name the protocol in the same way.
Status check(Request& request, uint32_t most_bytes) {
  const AuthenticationCommand& command = authentication_command(request);
  if (command.secp != nvme::kSecpNvmeof) return invalid_field(request, offsetof(AuthenticationCommand, secp));
  if (command.spsp0 != nvme::kSpspNvmeof) return invalid_field(request, offsetof(AuthenticationCommand, spsp0));
  if (command.spsp1 != nvme::kSpspNvmeof) return invalid_field(request, offsetof(AuthenticationCommand, spsp1));
  if (command.length_bytes == 0 || command.length_bytes > most_bytes)
    return invalid_field(request, offsetof(AuthenticationCommand, length_bytes));
  return kSuccess;
}

// Null: the command has been ended, because the queue has nothing to authenticate.
Authentication* authentication_of(Request& request) {
  Authentication* const authentication = controller_of(request).authentication(*request.queue);
  if (authentication == nullptr) end_from_control(request, command_sequence_error());
  return authentication;
}

void send_on_control(Message& message) {
  Request& request = request_of(message);
  if (Authentication* const authentication = authentication_of(request); authentication != nullptr)
    authentication->take({request.data.address, request.length_bytes},
                         [&request](Status status) { end_from_control(request, status); });
}

// The message is in the command's memory before its queue's thread, which sends it, hears of it.
void receive_on_control(Message& message) {
  Request& request = request_of(message);
  Authentication* const authentication = authentication_of(request);
  if (authentication == nullptr) return;
  const Authentication::Given given = authentication->give(request.length_bytes);
  std::byte* const end_of_message = std::ranges::copy(given.message, request.data.address).out;
  std::fill(end_of_message, request.data.address + request.length_bytes, std::byte{0});
  end_from_control(request, given.status);
  authentication->sent();
}

void execute_authentication_send(Request& request) { hop_to_control(request, send_on_control); }
void execute_authentication_receive(Request& request) { hop_to_control(request, receive_on_control); }

}  // namespace

Status parse_authentication_send(Request& request) {
  if (const Status status = check(request, limits::kMaxAuthenticationBytes); !status.ok()) return status;
  return ready_to_receive(request, authentication_command(request).length_bytes, execute_authentication_send);
}

Status parse_authentication_receive(Request& request) {
  if (const Status status = check(request, limits::kMaxAuthenticationBytes); !status.ok()) return status;
  return ready_to_reply(request, authentication_command(request).length_bytes, execute_authentication_receive);
}

}  // namespace nvmf::core
