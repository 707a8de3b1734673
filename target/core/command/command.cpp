// HOT PATH: parse() and finish().
#include "target/core/command/command.h"

#include <algorithm>
#include <cstring>

#include "target/core/command/error_record.h"
#include "target/core/command/fused.h"
#include "target/core/command/io_command.h"
#include "target/core/datapath/queue.h"

namespace nvmf::core {
namespace {

// By one for each answer: its receive slot is free when the answer leaves. A host that counts on SQHD so never has more
// capsules under way than there are slots for it.
void advance_sqhd(Queue& queue) {
  ++queue.sqhd;
  if (queue.size != 0 && queue.sqhd >= queue.size) queue.sqhd = 0;
}

// The keep-alive timer clears the flag rarely: the cache line stays shared while the flag is set.
void note_traffic(Queue& queue) {
  if (!queue.saw_command.load(std::memory_order_relaxed)) queue.saw_command.store(true, std::memory_order_relaxed);
}

void reset(Request& request) {
  request.execute = nullptr;
  request.transfer = Transfer::None;
  request.processor_needs_data = false;
  request.awaits_event = false;
  request.length_bytes = 0;
  request.scratch_bytes = 0;
  set_namespace(request, nullptr);
  request.error_location = Request::kNoLocation;
  request.cqe.result = 0;
  request.fua = false;
  request.deallocate = false;
  request.slba = 0;
  request.blocks = 0;
  request.range_count = 0;
}

[[gnu::cold]] Status refused(Admission admission) {
  if (admission == Admission::Unauthenticated) return authentication_required();
  return admission == Admission::Dropped ? kNoAnswer : command_sequence_error();
}

Status parse_io(Request& request) {
  const Queue& queue = *request.queue;
  const Admission admission = queue.admission.load(std::memory_order_relaxed);
  if (admission != Admission::Admitted) [[unlikely]]
    return refused(admission);
  const bool fused = request.sqe->fuse() != nvme::Fuse::Normal || queue.fused_phase != FusedPhase::None;
  if (fused) [[unlikely]]
    return parse_fused(request);
  return parse_normal(request);
}

// Command Interrupted is for hosts that have set ACRE alone (NVMe Base 2.0, section 3.3.3.2.1). Others are told another
// status of a command that is worth repeating.
Status without_acre(Status status) { return status == NVME_SC_CMD_INTERRUPTED ? Status(NVME_SC_NS_NOT_READY) : status; }

// Additions to the status: when to repeat the command, and that the error log has more.
[[gnu::cold]] Status with_advice(const Request& request, Status status) {
  const bool acre = request.queue->advanced_command_retry.load(std::memory_order_relaxed);
  if (!acre) status = without_acre(status);
  const bool more = record_error(request, status);
  if (acre) status = with_retry_delay(status);
  return more ? Status(status.value() | NVME_SC_MORE) : status;
}

}  // namespace

Status parse_normal(Request& request) {
  const Command& command = kIoCommands[request.sqe->opcode];
  if (const Status status = check_flags(request); !status.ok()) return status;
  if (command.parse == nullptr) return invalid_opcode();
  return command.parse(request);
}

Status parse(Request& request) {
  Queue& queue = *request.queue;
  note_traffic(queue);
  reset(request);
  if (request.sqe->opcode == nvme_admin_fabrics) return parse_fabrics(request);
  if (!queue.connected) return is_dropped(queue) ? kNoAnswer : command_sequence_error();
  return queue.qid == 0 ? parse_admin(request) : parse_io(request);
}

Status check_flags(Request& request) {
  constexpr uint8_t kExpected = static_cast<uint8_t>(nvme::Psdt::SglMptrContiguous) << 6;
  constexpr uint8_t kChecked = 0xc3;
  if ((request.sqe->flags & kChecked) == kExpected) return kSuccess;
  const bool fused = request.sqe->fuse() != nvme::Fuse::Normal;
  return invalid_field(request, offsetof(nvme::Sqe, flags), fused ? 0 : 6);
}

void finish(Request& request, Status status) {
  Queue& queue = *request.queue;
  if (request.fused) [[unlikely]]
    leave_pair(request);
  advance_sqhd(queue);
  nvme::Cqe& cqe = request.cqe;
  cqe.cid = request.sqe->cid;
  cqe.sqid = queue.qid;
  cqe.sqhd = queue.flow_control ? queue.sqhd : 0xffff;
  if (!status.ok()) status = with_advice(request, status);
  cqe.status = status.wire();
  request.respond(request);
}

void reply(Request& request, const void* data, size_t size_bytes) {
  const size_t copied = std::min<size_t>(size_bytes, request.length_bytes);
  if (copied != 0) std::memcpy(request.data.address, data, copied);
  std::memset(request.data.address + copied, 0, request.length_bytes - copied);
  finish(request, kSuccess);
}

}  // namespace nvmf::core
