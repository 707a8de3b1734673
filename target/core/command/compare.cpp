// HOT PATH. Compare and Verify: NVM Command Set 1.0, sections 3.2.1 and 3.2.5.
#include "target/core/command/compare.h"

#include <algorithm>
#include <cstring>

#include "target/core/command/io_command.h"
#include "target/core/command/steps.h"
#include "target/core/datapath/scratch.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kRefused = kPract | kCetype;

void compare_with_read(Io& io, Status status) {
  Request& request = *static_cast<Step&>(io).request;
  if (!status.ok()) return finish(request, status);
  const bool same = std::memcmp(request.data.address, io.data.address, request.length_bytes) == 0;
  finish(request, same ? kSuccess : kCompareFailure);
}

void execute_compare(Request& request) {
  read_blocks(request, scratch_of(request, request.length_bytes), compare_with_read);
}

bool set_verifying_read(Request& request) {
  if (!set_piece(request, request.scratch_bytes)) return false;
  Step& step = request.step;
  step.kind = IoKind::Read;
  step.data = scratch_of(request, step.blocks << request.ns->lba_shift);
  return true;
}

void end_verify(Request& request) { finish(request, request.step.status); }

void execute_verify(Request& request) {
  request.step.blocks_done = 0;
  set_verifying_read(request);
  Steps<set_verifying_read, end_verify>::run(request);
}

}  // namespace

void read_blocks(Request& request, const Buffer& into, void (*done)(Io&, Status)) {
  Step& step = request.step;
  step.request = &request;
  step.kind = IoKind::Read;
  step.slba = request.slba;
  step.blocks = request.blocks;
  step.fua = request.fua;
  step.data = into;
  step.done = done;
  request.ns->channel->submit(step);
}

Status parse_compare(Request& request) {
  const Status status = parse_transfer(request, IoKind::Compare, Transfer::HostToController, kDeniesReads, kRefused);
  if (!status.ok() || (request.ns->own_commands & kOwnCompare) != 0) return status;
  request.processor_needs_data = true;
  request.scratch_bytes = request.length_bytes;
  request.execute = execute_compare;
  return kSuccess;
}

// VSL, which is MDTS, is a recommendation (section 3.2.5): a longer range is read in pieces of it, one after the other,
// so that no command occupies a reactor or its memory.
Status parse_verify(Request& request) {
  if (const Status status = parse_range(request, IoKind::Verify, kDeniesReads, kRefused); !status.ok()) return status;
  if ((request.ns->own_commands & kOwnVerify) != 0) return kSuccess;
  const uint64_t length_bytes = uint64_t{request.blocks} << request.ns->lba_shift;
  request.scratch_bytes =
      static_cast<uint32_t>(std::min<uint64_t>(length_bytes, request.queue->namespaces->max_transfer_bytes));
  request.execute = execute_verify;
  return kSuccess;
}

}  // namespace nvmf::core
