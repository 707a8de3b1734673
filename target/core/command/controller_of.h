// The controller and subsystem of an admin command.
#pragma once

#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"
#include "target/core/subsystem/controller.h"

namespace nvmf::core {

// Control thread, once the queue is connected.
inline Controller& controller_of(const Request& request) { return *request.queue->controller; }
inline Subsystem& subsystem_of(const Request& request) { return controller_of(request).subsystem(); }

}  // namespace nvmf::core
