// Abort of I/O commands: NVMe Base 2.0, section 5.1, and Preempt and Abort, section 8.19.7.
//
// The control thread asks, through QueueLink, and the queue's thread looks: only there a command does not move on
// meanwhile. What has not been given to its disk is completed with Command Abort Requested, or Command Aborted due to
// Preempt and Abort, wherever it waits: in the transport for a request object, its namespace's limit, a buffer or its
// data; in the core at a write gate, or as half of a fused pair. A command that its disk has ends with its own status:
// no disk cancels a transfer.
#pragma once

#include "target/core/datapath/request.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

inline constexpr Status kAbortRequested = NVME_SC_ABORT_REQ;
inline constexpr Status kPreempted = NVME_SC_CMD_ABORTED_PREMEPT;  // libnvme's spelling

// For transports, on the queue's thread. `status` is one of the two above.

// For a command that does not wait in the transport: completes it if its disk does not have it. False: it ends by
// itself.
bool abort_executed(Request& request, Status status);
// Its queue is being ended (Admission::Dropped), and it does not wait in the transport. What waits at a write gate is
// passed to `drop`, which ends it without an answer; of a fused pair, both halves. Of what the disk has, the backend
// begins nothing more: it ends by itself.
void drop_held(Request& request, void (*drop)(Request&));
// Replaces Request::execute while the data comes from the host: completes the command when the data has arrived.
Executor abort_instead(Status status);

}  // namespace nvmf::core
