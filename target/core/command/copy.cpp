// HOT PATH. Copy: NVM Command Set 1.0, section 3.2.2. Source ranges of Descriptor Format 0h.
#include <algorithm>
#include <cstring>

#include "target/core/command/io_command.h"
#include "target/core/command/steps.h"
#include "target/core/datapath/rate_limit.h"
#include "target/core/datapath/scratch.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kDescriptorFormat = 0xfu << 8;
constexpr uint32_t kRefused = kDtype | kCetype | kDescriptorFormat;

constexpr Status kSizeLimitExceeded = command_specific(NVME_SC_CMD_SIZE_LIMIT_EXCEEDED).do_not_retry();
// From a later version of the specification than libnvme 1.3; version 1.0 does not define the result of such a copy.
constexpr Status kOverlappingIoRange = command_specific(0x87).do_not_retry();

struct Source {
  uint64_t slba;
  uint32_t blocks;
};

// The host chose the place of the ranges in its capsule, so they need not be aligned.
Source source(const Request& request, uint32_t index) {
  nvme_copy_range range;
  static_assert(sizeof(range) == 32);
  std::memcpy(&range, request.data.address + size_t{index} * sizeof(range), sizeof(range));
  return {range.slba, uint32_t{range.nlb} + 1};
}

bool overlap(uint64_t a, uint64_t a_blocks, uint64_t b, uint64_t b_blocks) {
  return a < b + b_blocks && b < a + a_blocks;
}

Status check_range(const IoNamespace& ns, const Source& range) {
  if (range.blocks > ns.copy.mssrl) return kSizeLimitExceeded;
  return in_range(ns, range.slba, range.blocks) ? kSuccess : kLbaOutOfRange;
}

// Checks what parse() could not know. Later commands wait for it.
uint64_t all_bytes(const Request& request) {
  uint64_t blocks = 0;
  for (uint32_t i = 0; i < request.range_count; ++i) blocks += source(request, i).blocks;
  return blocks << request.ns->lba_shift;
}

Status check_ranges(const Request& request) {
  const IoNamespace& ns = *request.ns;
  uint32_t all = 0;
  for (uint32_t i = 0; i < request.range_count; ++i) {
    const Source range = source(request, i);
    if (const Status status = check_range(ns, range); !status.ok()) return status;
    all += range.blocks;
  }
  if (all > ns.copy.mcl) return kSizeLimitExceeded;
  if (!in_range(ns, request.slba, all)) return kLbaOutOfRange;
  if (!is_in_one_zone(ns.zones.zone_blocks, request.slba, all)) return kZoneBoundaryError;
  for (uint32_t i = 0; i < request.range_count; ++i) {
    const Source range = source(request, i);
    if (overlap(range.slba, range.blocks, request.slba, all)) return kOverlappingIoRange;
  }
  return kSuccess;
}

// Reads the next piece of the current source range, no more than the scratch holds.
void set_read(Request& request) {
  Step& step = request.step;
  const Source range = source(request, step.range);
  const uint32_t room = request.scratch_bytes >> request.ns->lba_shift;
  step.kind = IoKind::Read;
  step.slba = range.slba + step.blocks_done;
  step.blocks = std::min(range.blocks - step.blocks_done, room);
  step.fua = false;
  step.data = scratch_of(request, step.blocks << request.ns->lba_shift);
}

void set_write(Request& request) {
  Step& step = request.step;
  step.kind = IoKind::Write;
  step.slba = step.destination;
  step.fua = request.fua;
}

void advance(Request& request) {
  Step& step = request.step;
  step.destination += step.blocks;
  step.blocks_done += step.blocks;
  if (step.blocks_done < source(request, step.range).blocks) return;
  step.blocks_done = 0;
  ++step.range;
}

// Sets the next step. False: there is none.
bool set_next(Request& request) {
  Step& step = request.step;
  if (step.kind == IoKind::Read) {
    set_write(request);
    return true;
  }
  advance(request);
  if (step.range == request.range_count) return false;
  set_read(request);
  return true;
}

// A failed Copy names the first range that is not completely copied, in dword 0 of the completion.
void end_copy(Request& request) {
  const Status status = request.step.status;
  request.ns->gate->leave();
  finish(request, status, status.ok() ? 0 : request.step.range);
}

void compose_copy(Request& request) {
  Step& step = request.step;
  step.range = 0;
  step.blocks_done = 0;
  step.destination = request.slba;
  set_read(request);
  Steps<set_next, end_copy>::run(request);
}

void execute_copy(Request& request) {
  if (const Status status = check_ranges(request); !status.ok()) return finish(request, status);
  if (!request.ns->gate->enter(request)) return;
  if (request.ns->throttle != nullptr) request.ns->throttle->charge(all_bytes(request));
  if ((request.ns->own_commands & kOwnCopy) != 0) return request.ns->channel->submit(request);
  compose_copy(request);
}

}  // namespace

Status parse_copy(Request& request) {
  const nvme::Sqe& sqe = *request.sqe;
  if (const Status status = find_namespace(request, kDeniesReads | kDeniesWrites); !status.ok()) return status;
  request.kind = IoKind::Copy;
  request.slba = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  request.range_count = (sqe.cdw12 & 0xff) + 1;
  request.fua = (sqe.cdw12 & kFua) != 0;
  if ((sqe.cdw12 & kRefused) != 0) return refuse_dword12(request, sqe.cdw12 & kRefused);
  if (request.range_count - 1 > request.ns->copy.msrc_z) {
    request.error_location = offsetof(nvme::Sqe, cdw12);
    return kSizeLimitExceeded;
  }
  request.done = change_done;
  if ((request.ns->own_commands & kOwnCopy) == 0)
    request.scratch_bytes = std::min(limits::kCopyScratchBytes, request.queue->namespaces->max_transfer_bytes);
  return ready_to_receive(request, request.range_count * uint32_t{sizeof(nvme_copy_range)}, execute_copy);
}

}  // namespace nvmf::core
