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
    case nvme_zns_cmd_append:
    case nvme_zns_cmd_mgmt_send:
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

uint32_t flags_of(const core::Io& io) {
  uint32_t flags = io.fua && io.kind != core::IoKind::WriteUncorrectable ? kFua : 0;
  if (io.deallocate && io.kind == core::IoKind::WriteZeroes) flags |= kDeallocate;
  return flags;
}

uint8_t opcode_in_order(core::IoKind kind) {
  if (kind == core::IoKind::Write) return nvme_cmd_write;
  return kind == core::IoKind::WriteZeroes ? nvme_cmd_write_zeroes : nvme_cmd_write_uncor;
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
    case core::IoKind::ZoneAppend:
      return append(io);
    case core::IoKind::ZoneManagementSend:
      return manage_zones(io, nvme_zns_cmd_mgmt_send);
    case core::IoKind::ZoneManagementReceive:
      return manage_zones(io, nvme_zns_cmd_mgmt_recv);
  }
}

void NvmeChannel::transfer(core::Io& io, uint8_t opcode) {
  const uint32_t flags = io.fua ? kFua : 0;
  const uint32_t length = io.data.length_bytes;
  if (is_too_long_for_cmb(io) && block_ != nullptr && io.kind != core::IoKind::Compare) return block_->submit(io);
  const uint32_t most = most_bytes(io);
  if (length <= most) {
    nvme_uring_cmd command = block_command(opcode, geometry_, io.slba, io.blocks, flags);
    set_data(command, io, 0, length);
    return whole(io, command);
  }
  if (io.kind == core::IoKind::Write && geometry_.zone_blocks != 0) return write_in_order(io);
  UringEngine::begin_parts(io, parts(length, most));
  for (uint32_t offset = 0; offset < length; offset += most) {
    const uint32_t bytes = std::min(most, length - offset);
    nvme_uring_cmd command = block_command(opcode, geometry_, io.slba + (offset >> geometry_.lba_shift),
                                           bytes >> geometry_.lba_shift, flags);
    set_data(command, io, offset, bytes);
    part(io, command);
  }
}

bool NvmeChannel::is_too_long_for_cmb(const core::Io& io) const {
  return io.data.kind == core::MemoryKind::Cmb && io.data.length_bytes > geometry_.max_cmb_passthrough_bytes;
}

uint32_t NvmeChannel::most_bytes(const core::Io& io) const {
  if (is_too_long_for_cmb(io)) return geometry_.max_cmb_passthrough_bytes;
  return io.data.kind == core::MemoryKind::Cmb ? geometry_.max_contiguous_bytes : geometry_.max_scattered_bytes;
}

void NvmeChannel::flush(core::Io& io) {
  if (!geometry_.flush_needed) return io.done(io, core::kSuccess);
  whole(io, command_of(nvme_cmd_flush, geometry_));
}

void NvmeChannel::without_data(core::Io& io, uint8_t opcode, uint32_t most) {
  if (changes_medium(opcode) && geometry_.zone_blocks != 0) return write_in_order(io);
  const uint32_t flags = flags_of(io);
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

uint32_t NvmeChannel::most_blocks_in_order(const core::Io& io) const {
  if (io.kind == core::IoKind::Write) return most_bytes(io) >> geometry_.lba_shift;
  const bool zeroes = io.kind == core::IoKind::WriteZeroes;
  return zeroes ? geometry_.max_write_zeroes_blocks : geometry_.max_write_uncorrectable_blocks;
}

// Of a zoned namespace: Write, Write Zeroes, Write Uncorrectable, perhaps in several commands. Where each ends with
// success before the next begins, the write pointer is where that one needs it. backend_block: blocks of which that is
// known, or that are being written; backend_step: the rest is not begun any more.
void NvmeChannel::write_in_order(core::Io& io) {
  if (!core::is_in_one_zone(geometry_.zone_blocks, io.slba, io.blocks)) return io.done(io, core::kZoneBoundaryError);
  io.backend_block = 0;
  io.backend_step = 0;
  write_next(io);
}

void NvmeChannel::write_next(core::Io& io) {
  const uint32_t begin = io.backend_block;
  if (begin == io.blocks) return io.done(io, core::kSuccess);
  if (io.backend_step != 0) return io.done(io, NVME_SC_ABORT_QUEUE);
  const uint32_t blocks = std::min(most_blocks_in_order(io), io.blocks - begin);
  nvme_uring_cmd command = block_command(opcode_in_order(io.kind), geometry_, io.slba + begin, blocks, flags_of(io));
  if (io.kind == core::IoKind::Write)
    set_data(command, io, begin << geometry_.lba_shift, blocks << geometry_.lba_shift);
  io.backend_block += blocks;
  step(io, command);
}

// Never split: the parts would not be together. Zoned Namespace Command Set 1.1, section 3.4.1.
void NvmeChannel::append(core::Io& io) {
  nvme_uring_cmd command = block_command(nvme_zns_cmd_append, geometry_, io.slba, io.blocks, io.fua ? kFua : 0);
  set_data(command, io, 0, io.data.length_bytes);
  step(io, command);
}

// Sections 3.4.2 and 3.4.3
void NvmeChannel::manage_zones(core::Io& io, uint8_t opcode) {
  nvme_uring_cmd command = command_of(opcode, geometry_);
  command.cdw10 = static_cast<uint32_t>(io.slba);
  command.cdw11 = static_cast<uint32_t>(io.slba >> 32);
  if (opcode == nvme_zns_cmd_mgmt_recv) command.cdw12 = io.data.length_bytes / 4 - 1;
  command.cdw13 = io.zone_action;
  if (io.data.length_bytes != 0) set_data(command, io, 0, io.data.length_bytes);
  whole(io, command);
}

void NvmeChannel::next_step(core::Io& io, uint64_t result) {
  if (io.kind != core::IoKind::ZoneAppend) return write_next(io);
  io.slba = result;
  io.done(io, core::kSuccess);
}

// No command here is one that the kernel ends in part.
void NvmeChannel::write_rest(core::Io& io, uint32_t /*written_bytes*/) { io.done(io, NVME_SC_INTERNAL); }

void NvmeChannel::withdraw_rest(core::Io& io) {
  if (geometry_.zone_blocks != 0) io.backend_step = 1;
  if (block_ != nullptr) block_->withdraw_rest(io);
}

void NvmeChannel::step(core::Io& io, const nvme_uring_cmd& command) {
  if (!queue(io, command, UringEngine::tag_step(io, *this))) io.done(io, UringEngine::kNoRoom);
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
