// HOT PATH: each command to a block device or file.
#include "target/backend/block_channel.h"

#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>

#include "target/backend/dataset_range.h"

namespace nvmf::backend {
namespace {

constexpr core::Status kNotSupported = NVME_SC_INVALID_OPCODE | NVME_SC_DNR;

// BLOCK_URING_CMD_DISCARD of linux/blkdev.h, which is newer than the headers of most systems.
constexpr uint32_t kDiscardCommand = _IO(0x12, 0);

// Asked for the rest of a command whose queue is being ended.
class NoRest final : public Unfinished {
  void write_rest(core::Io& io, uint32_t /*written_bytes*/) override { io.done(io, NVME_SC_ABORT_QUEUE); }
  void next_step(core::Io& io, uint64_t /*result*/) override { io.done(io, NVME_SC_ABORT_QUEUE); }
};
constinit NoRest no_rest;

}  // namespace

void BlockChannel::submit(core::Io& io) {
  switch (io.kind) {
    case core::IoKind::Read:
      return transfer(io, io.data.fixed_index < 0 ? IORING_OP_READ : IORING_OP_READ_FIXED);
    case core::IoKind::Write:
      return transfer(io, io.data.fixed_index < 0 ? IORING_OP_WRITE : IORING_OP_WRITE_FIXED);
    case core::IoKind::Flush:
      return flush(io);
    case core::IoKind::WriteZeroes:
      return write_zeroes(io);
    case core::IoKind::Deallocate:
      return deallocate(io);
    case core::IoKind::Compare:
    case core::IoKind::Verify:
    case core::IoKind::Copy:
    case core::IoKind::WriteUncorrectable:
    case core::IoKind::ZoneAppend:
    case core::IoKind::ZoneManagementSend:
    case core::IoKind::ZoneManagementReceive:
      return io.done(io, kNotSupported);
  }
}

void BlockChannel::transfer(core::Io& io, int opcode) {
  if (io.kind == core::IoKind::Read && io.fua) return read_from_medium(io, opcode);
  io_uring_sqe* const sqe = prepare_transfer(io, opcode);
  if (sqe == nullptr) return io.done(io, UringEngine::kNoRoom);
  if (io.kind == core::IoKind::Read) {
    sqe->user_data = UringEngine::tag(io, Result::Transfer);
    return;
  }
  if (io.fua) sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = UringEngine::tag_write(io, *this);
}

// A file system that runs full writes what it has room for; its error comes with the rest.
void BlockChannel::write_rest(core::Io& io, uint32_t written_bytes) {
  if (!engine_.make_room(1)) return io.done(io, UringEngine::kNoRoom);
  io_uring_sqe* const sqe = engine_.next_sqe();
  const uint64_t offset = (io.slba << geometry_.lba_shift) + written_bytes;
  const uint32_t rest_bytes = io.data.length_bytes - written_bytes;
  io_uring_prep_write(sqe, file_.fd, io.data.address + written_bytes, rest_bytes, offset);
  sqe->flags = file_.sqe_flags;
  if (io.fua) sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = UringEngine::tag_rest(io, rest_bytes);
}

// A command that the disk does not have, or a write that it does not have at its beginning, has another word there, or
// one that is set anew.
void BlockChannel::withdraw_rest(core::Io& io) {
  Unfinished& self = *this;
  const bool may_go_on = io.kind == core::IoKind::Write || io.kind == core::IoKind::Deallocate;
  if (!may_go_on || io.backend_word != reinterpret_cast<uintptr_t>(&self)) return;
  io.backend_word = reinterpret_cast<uintptr_t>(static_cast<Unfinished*>(&no_rest));
}

// FUA of a Read: what is in a volatile cache goes to the medium first. NVM Command Set 1.0, section 3.2.4.
void BlockChannel::read_from_medium(core::Io& io, int opcode) {
  if (!engine_.make_room(2)) return io.done(io, UringEngine::kNoRoom);
  UringEngine::begin_parts(io, 2);
  queue_sync(IOSQE_IO_LINK, UringEngine::tag_part(io, Result::Command));
  prepare_transfer(io, opcode)->user_data = UringEngine::tag_part(io, Result::Transfer);
}

io_uring_sqe* BlockChannel::prepare_transfer(const core::Io& io, int opcode) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  if (sqe == nullptr) return nullptr;
  io_uring_prep_rw(opcode, sqe, file_.fd, io.data.address, io.data.length_bytes, io.slba << geometry_.lba_shift);
  sqe->flags = file_.sqe_flags;
  if (io.data.fixed_index >= 0) sqe->buf_index = static_cast<uint16_t>(io.data.fixed_index);
  return sqe;
}

// Whether or not the device has a volatile cache now: it may get one at any time, and the kernel knows.
void BlockChannel::flush(core::Io& io) {
  if (!engine_.make_room(1)) return io.done(io, UringEngine::kNoRoom);
  queue_sync(0, UringEngine::tag(io, Result::Command));
}

void BlockChannel::write_zeroes(core::Io& io) {
  const int mode = io.deallocate && geometry_.punch_mode != 0 ? geometry_.punch_mode : geometry_.zero_mode;
  if (mode == 0) return io.done(io, kNotSupported);
  if (!engine_.make_room(2)) return io.done(io, UringEngine::kNoRoom);
  UringEngine::begin_parts(io, io.fua ? 2 : 1);
  const uint64_t user_data = UringEngine::tag_part(io, Result::Command);
  queue_fallocate(mode, io.slba, io.blocks, io.fua ? IOSQE_IO_LINK : 0, user_data);
  if (io.fua) queue_sync(0, user_data);
}

// One range after the other: the kernel works each off in a thread, and those would only wait for each other. A long
// range in steps, because what the kernel has begun goes on when its host is lost: it splits a step into requests of
// the size that the device takes.
void BlockChannel::deallocate(core::Io& io) {
  if (geometry_.deallocate == Deallocate::None) return io.done(io, kNotSupported);
  io.backend_step = 0;
  io.backend_block = 0;
  next_step(io, 0);
}

// backend_step: the range; backend_block: its first block that is not deallocated yet.
void BlockChannel::next_step(core::Io& io, uint64_t /*result*/) {
  while (io.backend_step < io.range_count && range_at(io, io.backend_step).nlb == 0) ++io.backend_step;
  if (io.backend_step == io.range_count) return io.done(io, core::kSuccess);
  if (!engine_.make_room(1)) return io.done(io, UringEngine::kNoRoom);
  const nvme_dsm_range range = range_at(io, io.backend_step);
  const uint64_t slba = range.slba + io.backend_block;
  const uint32_t blocks = std::min(range.nlb - io.backend_block, blocks_of_step(slba));
  io.backend_block += blocks;
  if (io.backend_block == range.nlb) {
    ++io.backend_step;
    io.backend_block = 0;
  }
  const uint64_t user_data = UringEngine::tag_step(io, *this);
  if (geometry_.deallocate == Deallocate::Punch)
    queue_fallocate(geometry_.punch_mode, slba, blocks, 0, user_data);
  else
    queue_discard(slba, blocks, user_data);
}

// To the end of the device's GiB, so that no step ends inside a unit that the device deallocates whole.
uint32_t BlockChannel::blocks_of_step(uint64_t slba) const {
  constexpr uint64_t kStepBytes = 1 << 30;
  const uint64_t blocks = kStepBytes >> geometry_.lba_shift;
  return static_cast<uint32_t>(blocks - slba % blocks);
}

void BlockChannel::queue_sync(uint8_t link, uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  io_uring_prep_fsync(sqe, file_.fd, IORING_FSYNC_DATASYNC);
  sqe->flags = file_.sqe_flags | link;
  sqe->user_data = user_data;
}

void BlockChannel::queue_fallocate(int mode, uint64_t slba, uint64_t blocks, uint8_t link, uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  const auto offset = static_cast<off_t>(slba << geometry_.lba_shift);
  io_uring_prep_fallocate(sqe, file_.fd, mode, offset, static_cast<off_t>(blocks << geometry_.lba_shift));
  sqe->flags = file_.sqe_flags | link;
  sqe->user_data = user_data;
}

// As ioctl BLKDISCARD, which cannot be asked for without waiting. By a thread of the kernel's (IOSQE_ASYNC): its first
// attempt without one must not wait, and devices that cannot promise that (device mapper) answer that they do not
// discard.
void BlockChannel::queue_discard(uint64_t slba, uint64_t blocks, uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file_.fd, nullptr, 0, 0);
  sqe->cmd_op = kDiscardCommand;
  sqe->addr = slba << geometry_.lba_shift;
  sqe->addr3 = blocks << geometry_.lba_shift;
  sqe->flags = file_.sqe_flags | IOSQE_ASYNC;
  sqe->user_data = user_data;
}

}  // namespace nvmf::backend
