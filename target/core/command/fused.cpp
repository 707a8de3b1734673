// HOT PATH: fused commands, and with their queue whatever comes between them.
#include "target/core/command/fused.h"

#include <cstring>
#include <utility>

#include "target/core/command/compare.h"
#include "target/core/command/io_command.h"

namespace nvmf::core {
namespace {

constexpr Status kFailedFused = NVME_SC_FUSED_FAIL;
constexpr Status kMissingFused = NVME_SC_FUSED_MISSING;

// Running ------------------------------------------------------------------------------------------------------------

void end_pair(Request& first, Status of_first, Status of_second) {
  Request& second = *first.fused_partner;
  first.fused = second.fused = false;
  first.ns->gate->leave_pair();
  finish(first, of_first);
  finish(second, of_second);
}

void written(Io& io, Status status) { end_pair(*static_cast<Request&>(io).fused_partner, kSuccess, status); }

void compared(Io& io, Status status) {
  Request& first = *static_cast<Step&>(io).request;
  Request& second = *first.fused_partner;
  if (!status.ok()) return end_pair(first, status, kFailedFused);
  if (std::memcmp(first.data.address, io.data.address, first.length_bytes) != 0)
    return end_pair(first, kCompareFailure, kFailedFused);
  if (is_dropped(*first.queue)) return end_pair(first, NVME_SC_ABORT_QUEUE, kFailedFused);
  second.done = written;
  second.ns->channel->submit(second);
}

void run_pair(Request& first) {
  if (is_dropped(*first.queue)) return end_pair(first, NVME_SC_ABORT_QUEUE, kFailedFused);
  Buffer scratch;
  scratch.address = first.ns->gate->scratch();
  scratch.length_bytes = first.length_bytes;
  read_blocks(first, scratch, compared);
}

Request& first_of(Request& half) { return half.kind == IoKind::Compare ? half : *half.fused_partner; }

// Of a half that has its data.
bool is_whole(const Request& half) { return half.fused_partner != nullptr && half.fused_partner->fused_has_data; }

// A half that can no longer run is completed when its data has arrived: until then its transport works on it.
void give_up(Request& half, Status status) {
  half.fused_partner = nullptr;
  half.fused_status = status;
  if (!half.fused_has_data) return;
  half.fused = false;
  finish(half, status);
}

void half_has_data(Request& half) {
  half.fused_has_data = true;
  if (!half.fused_status.ok()) return give_up(half, half.fused_status);
  Request* const partner = half.fused_partner;
  if (partner == nullptr || !partner->fused_has_data) return;
  Request& first = first_of(half);
  first.execute = run_pair;
  first.ns->gate->enter_pair(first);
}

// Parsing ------------------------------------------------------------------------------------------------------------

void give_up_first(Queue& queue, Status status) {
  Request* const first = std::exchange(queue.fused_first, nullptr);
  queue.fused_phase = FusedPhase::None;
  if (first != nullptr) give_up(*first, status);
}

void begin_half(Request& request) {
  request.fused = true;
  request.fused_has_data = false;
  request.fused_status = kSuccess;
  request.fused_partner = nullptr;
  request.execute = half_has_data;
}

Status check_half(Request& request, uint8_t opcode, Status (*parse)(Request&)) {
  if (request.sqe->psdt() != nvme::Psdt::SglMptrContiguous)
    return invalid_field(request, offsetof(nvme::Sqe, flags), 6);
  if (request.sqe->opcode != opcode) return invalid_field(request, offsetof(nvme::Sqe, flags));
  if (const Status status = parse(request); !status.ok()) return status;
  const uint32_t room_bytes = request.queue->in_capsule_bytes;
  if (room_bytes < 1u << request.ns->lba_shift) return invalid_field(request, offsetof(nvme::Sqe, flags));
  if (request.length_bytes > room_bytes) return Status(NVME_SC_AWU_EXCEEDED).do_not_retry();
  return kSuccess;
}

Status parse_first(Request& request) {
  Queue& queue = *request.queue;
  queue.fused_phase = FusedPhase::FirstFailed;
  if (const Status status = check_half(request, nvme_cmd_compare, parse_compare); !status.ok()) return status;
  // The target executes the pair itself, whatever the disk supports, while the gates are closed.
  request.processor_needs_data = true;
  request.scratch_bytes = 0;
  begin_half(request);
  queue.fused_first = &request;
  queue.fused_phase = FusedPhase::AwaitsSecond;
  return kSuccess;
}

Status check_same_range(Request& request, const Request& first) {
  if (request.sqe->nsid != first.sqe->nsid) return invalid_field(request, offsetof(nvme::Sqe, nsid));
  if (request.slba != first.slba) return invalid_field(request, offsetof(nvme::Sqe, cdw10));
  if (request.blocks != first.blocks) return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  return kSuccess;
}

Status parse_second(Request& request) {
  Queue& queue = *request.queue;
  const FusedPhase phase = std::exchange(queue.fused_phase, FusedPhase::None);
  if (phase == FusedPhase::FirstFailed) return kFailedFused;
  if (phase == FusedPhase::None) return kMissingFused;
  Request& first = *std::exchange(queue.fused_first, nullptr);
  Status status = check_half(request, nvme_cmd_write, parse_write);
  if (status.ok()) status = check_same_range(request, first);
  if (!status.ok()) {
    give_up(first, kFailedFused);
    return status;
  }
  begin_half(request);
  request.fused_partner = &first;
  first.fused_partner = &request;
  return kSuccess;
}

}  // namespace

Status parse_fused(Request& request) {
  const nvme::Fuse fuse = request.sqe->fuse();
  Queue& queue = *request.queue;
  if (queue.fused_phase == FusedPhase::Closed)
    return fuse == nvme::Fuse::Normal ? parse_normal(request) : kMissingFused;
  if (fuse != nvme::Fuse::Second) give_up_first(queue, kMissingFused);
  switch (fuse) {
    case nvme::Fuse::First:
      return parse_first(request);
    case nvme::Fuse::Second:
      return parse_second(request);
    default:
      return parse_normal(request);
  }
}

void leave_pair(Request& request) {
  request.fused = false;
  Queue& queue = *request.queue;
  if (queue.fused_first == &request) {
    queue.fused_first = nullptr;
    queue.fused_phase = FusedPhase::FirstFailed;
  }
  if (Request* const partner = std::exchange(request.fused_partner, nullptr)) give_up(*partner, kFailedFused);
}

bool abort_half(Request& request, Status status) {
  if (is_whole(request) && !request.ns->gate->withdraw_pair(first_of(request))) return false;
  finish(request, status);
  return true;
}

void drop_half(Request& half, void (*drop)(Request&)) {
  if (!is_whole(half)) return;
  Request& partner = *half.fused_partner;
  if (!half.ns->gate->withdraw_pair(first_of(half))) {
    half.ns->channel->withdraw_rest(half);
    return half.ns->channel->withdraw_rest(partner);
  }
  half.fused = partner.fused = false;
  drop(half);
  drop(partner);
}

void drop_lone_half(Queue& queue) {
  give_up_first(queue, kMissingFused);
  queue.fused_phase = FusedPhase::Closed;
}

}  // namespace nvmf::core
