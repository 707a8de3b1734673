// Fused Compare and Write: NVMe Base 2.0, Fused Operations; NVM Command Set 1.0, Fused Operation.
//
// The two halves are adjacent in the submission queue, so parse() sees one right after the other. Each gets its data
// separately; when both have their data the pair waits for its turn (write_gate.h), then the Compare is executed, and
// if it succeeds the Write. The data is in the capsules' slots, never in a buffer of a pool: a half with its data waits
// for the other without holding a resource that the other could need. Hence the data is limited to a slot's in-capsule
// room (Atomic Write Unit Exceeded), and there are no fused commands where that is smaller than a block.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

struct Queue;

// Any I/O command while a first half waits for its second, or with FUSE set.
Status parse_fused(Request& request);
// For a half that is being completed, or that its transport drops: the other half must not wait for it.
void leave_pair(Request& request);
// Of a half that has its data, which is completed with `status`. False: its pair runs already.
bool abort_half(Request& request, Status status);
// Of a half whose pair waits for its turn: both are passed to `drop`, without an answer.
void drop_half(Request& half, void (*drop)(Request&));
// The queue takes no more capsules: a first half without its second is completed, with Missing Fused Command.
void drop_lone_half(Queue& queue);

}  // namespace nvmf::core
