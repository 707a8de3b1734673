// Fabrics commands by type: NVMe Base 2.0, section 6. The table is in fabrics.cpp.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

Status parse_connect(Request& request);                 // connect.cpp
Status parse_authentication_send(Request& request);     // authentication_command.cpp
Status parse_authentication_receive(Request& request);  // authentication_command.cpp

// Runs `step` on the control thread, then `back` on the queue's thread: at once when they are the same thread. For
// commands of I/O queues that change controllers.
void hop_to_control(Request& request, void (*step)(Message&));
void hop_back(Request& request, void (*step)(Message&));
// Ends the command with `status` on the queue's thread, after hop_to_control().
void end_from_control(Request& request, Status status);

inline Request& request_of(Message& message) { return *static_cast<Request*>(message.context); }

}  // namespace nvmf::core
