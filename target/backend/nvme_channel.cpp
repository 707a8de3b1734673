// HOT PATH: each command to an NVMe SSD.
#include "target/backend/nvme_channel.h"

#include <linux/nvme_ioctl.h>

#include <algorithm>
#include <cstring>

namespace nvmf::backend {
namespace {

constexpr uint32_t kFua = uint32_t{NVME_IO_FUA} << 16;
constexpr uint32_t kDeallocate = uint32_t{NVME_IO_DEAC} << 16;
constexpr uint32_t kRangeBytes = sizeof(nvme_dsm_range);

constexpr uint32_t parts(uint32_t all, uint32_t most) { return (all + most - 1) / most; }

// What a device that keeps it too long may do after another path's command for the same blocks.
constexpr bool changes_medium(uint8_t opcode) {
  switch (opcode) {
    case nvme_cmd_write:
    case nvme_cmd_write_uncor:
    case nvme_cmd_write_zeroes:
    case nvme_cmd_dsm:
    case nvme_cmd_copy:
      return true;
    default:
      return false;
  }
}

nvme_uring_cmd command_of(uint8_t opcode, const NvmeGeometry& geometry) {
  nvme_uring_cmd command{};
  command.opcode = opcode;
  command.nsid = geometry.nsid;
  if (changes_medium(opcode)) command.timeout_ms = geometry.change_timeout_ms;
  return command;
}

// Commands on one range of blocks: NVM Command Set 1.0, section 3.2.
nvme_uring_cmd block_command(uint8_t opcode, const NvmeGeometry& geometry, uint64_t slba, uint32_t blocks,
                             uint32_t flags) {
  nvme_uring_cmd command = command_of(opcode, geometry);
  command.cdw10 = static_cast<uint32_t>(slba);
  command.cdw11 = static_cast<uint32_t>(slba >> 32);
  command.cdw12 = (blocks - 1) | flags;
  return command;
}

void set_data(nvme_uring_cmd& command, const core::Io& io, uint32_t offset, uint32_t length_bytes) {
  command.addr = reinterpret_cast<uintptr_t>(io.data.address) + offset;
  command.data_len = length_bytes;
}

}  // namespace

void NvmeChannel::submit(core::Io& io) {
  switch (io.kind) {
    case core::IoKind::Read:
      return transfer(io, nvme_cmd_read);
    case core::IoKind::Write:
      return transfer(io, nvme_cmd_write);
    case core::IoKind::Flush:
      return flush(io);
    case core::IoKind::WriteZeroes:
      return without_data(io, nvme_cmd_write_zeroes, geometry_.max_write_zeroes_blocks);
    case core::IoKind::Deallocate:
      return deallocate(io);
    case core::IoKind::Compare:
      return transfer(io, nvme_cmd_compare);
    case core::IoKind::Verify:
      return without_data(io, nvme_cmd_verify, geometry_.max_verify_blocks);
    case core::IoKind::Copy:
      return copy(io);
    case core::IoKind::WriteUncorrectable:
      return without_data(io, nvme_cmd_write_uncor, geometry_.max_write_uncorrectable_blocks);
  }
}

void NvmeChannel::transfer(core::Io& io, uint8_t opcode) {
  const uint32_t flags = io.fua ? kFua : 0;
  const uint32_t length = io.data.length_bytes;
  const bool in_cmb = io.data.kind == core::MemoryKind::Cmb;
  const bool too_long_for_cmb = in_cmb && length > geometry_.max_cmb_passthrough_bytes;
  if (too_long_for_cmb && io.kind != core::IoKind::Compare) return block_->submit(io);
  const uint32_t most = too_long_for_cmb ? geometry_.max_cmb_passthrough_bytes
                        : in_cmb         ? geometry_.max_contiguous_bytes
                                         : geometry_.max_scattered_bytes;
  if (length <= most) {
    nvme_uring_cmd command = block_command(opcode, geometry_, io.slba, io.blocks, flags);
    set_data(command, io, 0, length);
    return whole(io, command);
  }
  UringEngine::begin_parts(io, parts(length, most));
  for (uint32_t offset = 0; offset < length; offset += most) {
    const uint32_t bytes = std::min(most, length - offset);
    nvme_uring_cmd command = block_command(opcode, geometry_, io.slba + (offset >> geometry_.lba_shift),
                                           bytes >> geometry_.lba_shift, flags);
    set_data(command, io, offset, bytes);
    part(io, command);
  }
}

void NvmeChannel::flush(core::Io& io) {
  if (!geometry_.flush_needed) return io.done(io, core::kSuccess);
  whole(io, command_of(nvme_cmd_flush, geometry_));
}

void NvmeChannel::without_data(core::Io& io, uint8_t opcode, uint32_t most) {
  uint32_t flags = io.fua && io.kind != core::IoKind::WriteUncorrectable ? kFua : 0;
  if (io.deallocate && io.kind == core::IoKind::WriteZeroes) flags |= kDeallocate;
  const uint32_t all = io.blocks;  // `io` may be gone once its last part has ended
  UringEngine::begin_parts(io, parts(all, most));
  for (uint32_t offset = 0; offset < all; offset += most) {
    const uint32_t blocks = std::min(most, all - offset);
    part(io, block_command(opcode, geometry_, io.slba + offset, blocks, flags));
  }
}

// The SSD checks the ranges. NVM Command Set 1.0, section 3.2.3.
void NvmeChannel::deallocate(core::Io& io) {
  const uint32_t most = geometry_.max_ranges;
  const uint32_t all = io.range_count;
  UringEngine::begin_parts(io, parts(all, most));
  for (uint32_t first = 0; first < all; first += most) {
    const uint32_t ranges = std::min(most, all - first);
    nvme_uring_cmd command = command_of(nvme_cmd_dsm, geometry_);
    command.cdw10 = ranges - 1;
    command.cdw11 = NVME_DSMGMT_AD;
    set_data(command, io, first * kRangeBytes, ranges * kRangeBytes);
    part(io, command);
  }
}

// Never split: hosts have been told the SSD's own limits. NVM Command Set 1.0, section 3.2.2.
void NvmeChannel::copy(core::Io& io) {
  nvme_uring_cmd command = block_command(nvme_cmd_copy, geometry_, io.slba, io.range_count, io.fua ? kFua : 0);
  set_data(command, io, 0, io.data.length_bytes);
  whole(io, command);
}

void NvmeChannel::whole(core::Io& io, const nvme_uring_cmd& command) {
  if (!queue(io, command, UringEngine::tag(io, Result::Command))) io.done(io, UringEngine::kNoRoom);
}

void NvmeChannel::part(core::Io& io, const nvme_uring_cmd& command) {
  if (!queue(io, command, UringEngine::tag_part(io, Result::Command))) UringEngine::end_part(io, UringEngine::kNoRoom);
}

bool NvmeChannel::queue(const core::Io& io, const nvme_uring_cmd& command, uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  if (sqe == nullptr) return false;
  io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file_.fd, nullptr, 0, 0);
  sqe->cmd_op = NVME_URING_CMD_IO;
  sqe->flags = file_.sqe_flags;
  if (io.data.fixed_index >= 0 && command.data_len != 0 && geometry_.takes_registered_memory) {
    sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
    sqe->buf_index = static_cast<uint16_t>(io.data.fixed_index);
  }
  sqe->user_data = user_data;
  std::memcpy(sqe->cmd, &command, sizeof command);
  return true;
}

}  // namespace nvmf::backend
