// HOT PATH. Compare and Verify: NVM Command Set 1.0, sections 3.2.1 and 3.2.5.
#include "target/core/command/compare.h"

#include <cstring>

#include "target/core/command/io_command.h"
#include "target/core/datapath/scratch.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kRefused = kPrinfo | kStc | kCetype;

void compare_with_read(Io& io, Status status) {
  Request& request = *static_cast<Step&>(io).request;
  if (!status.ok()) return finish(request, status);
  const bool same = std::memcmp(request.data.address, io.data.address, request.length_bytes) == 0;
  finish(request, same ? kSuccess : kCompareFailure);
}

Buffer own_scratch(const Request& request) { return scratch_of(request, request.blocks << request.ns->lba_shift); }

void execute_compare(Request& request) { read_blocks(request, own_scratch(request), compare_with_read); }

void discard_read(Io& io, Status status) { finish(*static_cast<Step&>(io).request, status); }

void execute_verify(Request& request) { read_blocks(request, own_scratch(request), discard_read); }

}  // namespace

void read_blocks(Request& request, const Buffer& into, void (*done)(Io&, Status)) {
  Step& step = request.step;
  step.request = &request;
  step.kind = IoKind::Read;
  step.slba = request.slba;
  step.blocks = request.blocks;
  step.fua = false;
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

// At most VSL, which is MDTS: a host must not occupy a reactor, or its memory, by one command without data.
Status parse_verify(Request& request) {
  if (const Status status = parse_range(request, IoKind::Verify, kDeniesReads, kRefused); !status.ok()) return status;
  const uint64_t length_bytes = uint64_t{request.blocks} << request.ns->lba_shift;
  if (length_bytes > request.queue->namespaces->max_transfer_bytes)
    return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  if ((request.ns->own_commands & kOwnVerify) != 0) return kSuccess;
  request.scratch_bytes = static_cast<uint32_t>(length_bytes);
  request.execute = execute_verify;
  return kSuccess;
}

}  // namespace nvmf::core
