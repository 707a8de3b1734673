// HOT PATH: each command to a block device or file.
#include "target/backend/block_channel.h"

#include <sys/uio.h>

#include "target/backend/dataset_range.h"

namespace nvmf::backend {
namespace {

constexpr core::Status kNotSupported = NVME_SC_INVALID_OPCODE | NVME_SC_DNR;

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
      return io.done(io, kNotSupported);
  }
}

void BlockChannel::transfer(core::Io& io, int opcode) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  if (sqe == nullptr) return io.done(io, UringEngine::kNoRoom);
  io_uring_prep_rw(opcode, sqe, file_.fd, io.data.address, io.data.length_bytes, io.slba << geometry_.lba_shift);
  sqe->flags = file_.sqe_flags;
  if (io.data.fixed_index >= 0) sqe->buf_index = static_cast<uint16_t>(io.data.fixed_index);
  if (io.fua) sqe->rw_flags = RWF_DSYNC;
  sqe->user_data = UringEngine::tag(io, Result::Transfer);
}

void BlockChannel::flush(core::Io& io) {
  if (!geometry_.flush_needed) return io.done(io, core::kSuccess);
  if (!engine_.make_room(1)) return io.done(io, UringEngine::kNoRoom);
  queue_sync(UringEngine::tag(io, Result::Command));
}

void BlockChannel::write_zeroes(core::Io& io) {
  const int mode = io.deallocate && geometry_.punch_mode != 0 ? geometry_.punch_mode : geometry_.zero_mode;
  if (mode == 0) return io.done(io, kNotSupported);
  const bool sync = io.fua && geometry_.flush_needed;
  if (!engine_.make_room(2)) return io.done(io, UringEngine::kNoRoom);
  UringEngine::begin_parts(io, sync ? 2 : 1);
  queue_fallocate(mode, io.slba, io.blocks, sync ? IOSQE_IO_LINK : 0, UringEngine::tag_part(io));
  if (sync) queue_sync(UringEngine::tag_part(io));
}

// One range after the other: the kernel works each off in a thread, and those would only wait for each other.
void BlockChannel::deallocate(core::Io& io) {
  if (geometry_.punch_mode == 0) return io.done(io, kNotSupported);
  uint32_t to_come = 0;
  for (uint32_t i = 0; i < io.range_count; ++i) to_come += range_at(io, i).nlb != 0;
  if (to_come == 0) return io.done(io, core::kSuccess);
  if (!engine_.make_room(to_come)) return io.done(io, UringEngine::kNoRoom);

  UringEngine::begin_parts(io, to_come);
  for (uint32_t i = 0; i < io.range_count; ++i) {
    const nvme_dsm_range range = range_at(io, i);
    if (range.nlb == 0) continue;
    const uint8_t link = --to_come != 0 ? IOSQE_IO_LINK : 0;
    queue_fallocate(geometry_.punch_mode, range.slba, range.nlb, link, UringEngine::tag_part(io));
  }
}

void BlockChannel::queue_sync(uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  io_uring_prep_fsync(sqe, file_.fd, IORING_FSYNC_DATASYNC);
  sqe->flags = file_.sqe_flags;
  sqe->user_data = user_data;
}

void BlockChannel::queue_fallocate(int mode, uint64_t slba, uint64_t blocks, uint8_t link, uint64_t user_data) {
  io_uring_sqe* const sqe = engine_.next_sqe();
  const auto offset = static_cast<off_t>(slba << geometry_.lba_shift);
  io_uring_prep_fallocate(sqe, file_.fd, mode, offset, static_cast<off_t>(blocks << geometry_.lba_shift));
  sqe->flags = file_.sqe_flags | link;
  sqe->user_data = user_data;
}

}  // namespace nvmf::backend
