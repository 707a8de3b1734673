// One command from capsule to capsule. The transport owns the object and reuses it for command after command.
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/core/datapath/io.h"
#include "target/core/datapath/sgl.h"
#include "target/core/datapath/status.h"
#include "target/core/reactor/mailbox.h"
#include "target/nvme/command.h"

namespace nvmf::core {

struct Queue;
struct IoNamespace;
struct Request;

enum class Transfer : uint8_t { None, HostToController, ControllerToHost };

// Runs a parsed command whose data (if it goes to the controller) has arrived. Ends, now or later, in
// finish(request, status). Runs on the queue's thread.
using Executor = void (*)(Request&);

// The steps of a command that the target executes with several simple ones, one after the other (scratch.h).
struct Step : Io {
  Request* request = nullptr;
  uint32_t range = 0;        // Copy: the current source range
  uint32_t blocks_done = 0;  // of that range
  uint64_t destination = 0;  // Copy: where the next block goes
  uint32_t zones_done = 0;   // Zone Management Receive: descriptors in the report so far
  Status status;             // how it ended
  bool submitting = false;   // inside submit(): a step that ends there does not start the next one
  bool ended = false;
};

struct Request : Io {
  static constexpr uint16_t kNoLocation = 0xffff;

  // Set by the transport when a capsule arrives.
  Queue* queue = nullptr;
  const nvme::Sqe* sqe = nullptr;

  // Set by parse(): what the command needs before it can be executed.
  Executor execute = nullptr;
  Transfer transfer = Transfer::None;
  bool processor_needs_data = false;  // the CPU reads or writes the data: never CMB memory
  bool awaits_event = false;          // answered when an event occurs, not counted as outstanding (AER)
  uint32_t length_bytes = 0;
  uint32_t scratch_bytes = 0;       // DRAM for the command besides its data: scratch.h
  const IoNamespace* ns = nullptr;  // I/O commands on a namespace: set_namespace()
  // Parameter Error Location of the error log: byte in bits 7:0, bit in 10:8; kNoLocation: no field in particular.
  uint16_t error_location = kNoLocation;

  // Set by the transport before execute: Io::data. On Transfer::None it is empty.
  DataPointer pointer;

  // Set by executors, completed by finish(): result, then cid, sqid, sqhd and status.
  nvme::Cqe cqe{};

  // Called by finish() on its thread: the transport sends the response.
  void (*respond)(Request&) = nullptr;

  Step step;

  // For half of a fused operation that has not ended (fused.h).
  bool fused = false;
  bool fused_has_data = false;
  Status fused_status;               // not ok: the status with which it is completed when its data has arrived
  Request* fused_partner = nullptr;  // null until both halves have been parsed

  // Hop between a reactor and the control thread (commands of I/O queues that change controllers).
  Message hop;
  // What it waits in: WaitingRequests or GateQueue; null: neither.
  const void* waits_in = nullptr;
  // The requests before and after it there; of WaitingRequests, of the same host. And in a host's first one the host's
  // last, the first ones of the hosts whose turns are before and after, and of the next host in the same bucket.
  Request* next_waiter = nullptr;
  Request* previous_waiter = nullptr;
  Request* last_waiter = nullptr;
  Request* previous_turn = nullptr;
  Request* next_turn = nullptr;
  Request* next_in_bucket = nullptr;
};

// Invalid Field in Command, with the field at fault: its first byte in the SQE, and its first bit there.
inline Status invalid_field(Request& request, size_t byte, unsigned bit = 0) {
  request.error_location = static_cast<uint16_t>(byte | bit << 8);
  return Status(NVME_SC_INVALID_FIELD).do_not_retry();
}

// Completes the command: writes the completion entry (SQHD included) and responds.
void finish(Request& request, Status status);
// The same with dwords 0 and 1 of the completion.
inline void finish(Request& request, Status status, uint64_t result) {
  request.cqe.result = result;
  finish(request, status);
}

}  // namespace nvmf::core
