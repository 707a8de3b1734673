#include "target/backend/memory_device.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "target/backend/dataset_range.h"
#include "target/backend/descriptor.h"

namespace nvmf::backend {
namespace {

constexpr uint64_t kPage = 4096;

// Gives whole pages back to the kernel, which hands out zeroes for them, and clears the rest.
void release_range(std::byte* memory, uint64_t begin, uint64_t end) {
  const uint64_t first_page = (begin + kPage - 1) & ~(kPage - 1);
  const uint64_t last_page = end & ~(kPage - 1);
  if (first_page >= last_page || madvise(memory + first_page, last_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(memory + begin, 0, end - begin);
    return;
  }
  std::memset(memory + begin, 0, first_page - begin);
  std::memset(memory + last_page, 0, end - last_page);
}

// Every command is done before submit() returns.
class MemoryChannel final : public core::IoChannel {
 public:
  MemoryChannel(std::byte* memory, uint8_t lba_shift) : memory_(memory), lba_shift_(lba_shift) {}

  void submit(core::Io& io) override {
    switch (io.kind) {
      case core::IoKind::Read:
        std::memcpy(io.data.address, memory_ + (io.slba << lba_shift_), io.data.length_bytes);
        return io.done(io, core::kSuccess);
      case core::IoKind::Write:
        std::memcpy(memory_ + (io.slba << lba_shift_), io.data.address, io.data.length_bytes);
        return io.done(io, core::kSuccess);
      case core::IoKind::Flush:
        return io.done(io, core::kSuccess);
      case core::IoKind::WriteZeroes:
        return write_zeroes(io);
      case core::IoKind::Deallocate:
        return deallocate(io);
      case core::IoKind::Compare:
      case core::IoKind::Verify:
      case core::IoKind::Copy:
      case core::IoKind::WriteUncorrectable:
        return io.done(io, core::Status(NVME_SC_INVALID_OPCODE).do_not_retry());
    }
  }

 private:
  void write_zeroes(core::Io& io) {
    const uint64_t begin = io.slba << lba_shift_;
    const uint64_t length = uint64_t{io.blocks} << lba_shift_;
    if (io.deallocate)
      release_range(memory_, begin, begin + length);
    else
      std::memset(memory_ + begin, 0, length);
    io.done(io, core::kSuccess);
  }

  void deallocate(core::Io& io) {
    for (uint32_t i = 0; i < io.range_count; ++i) {
      const nvme_dsm_range range = range_at(io, i);
      release_range(memory_, range.slba << lba_shift_, (range.slba + range.nlb) << lba_shift_);
    }
    io.done(io, core::kSuccess);
  }

  std::byte* memory_;
  uint8_t lba_shift_;
};

}  // namespace

MemoryDevice::MemoryDevice(const DeviceSpec& spec) : size_bytes_(spec.size_bytes) {
  const std::string name = "memory of " + std::to_string(size_bytes_) + " bytes";
  if (spec.block_bytes != 512 && spec.block_bytes != 4096) refuse(name, "the block size must be 512 or 4096");
  if (size_bytes_ == 0 || size_bytes_ % spec.block_bytes != 0)
    refuse(name, "the size must be a multiple of the block size");
  void* const memory =
      mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw_errno(errno, name, "cannot be allocated");
  memory_ = static_cast<std::byte*>(memory);

  info_.lba_shift = static_cast<uint8_t>(std::countr_zero(spec.block_bytes));
  info_.block_count = size_bytes_ / spec.block_bytes;
  info_.supports_deallocate = true;
  info_.supports_write_zeroes = true;
  const auto page_blocks = static_cast<uint32_t>(kPage >> info_.lba_shift);
  info_.hints.deallocate_granularity_blocks = info_.hints.deallocate_alignment_blocks = page_blocks;
  info_.hints.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  info_.quiesce = {.ms = 0, .remedy = {}};
  info_.description = name;
}

MemoryDevice::~MemoryDevice() { munmap(memory_, size_bytes_); }

std::unique_ptr<core::IoChannel> MemoryDevice::open_channel(UringEngine&) {
  return std::make_unique<MemoryChannel>(memory_, info_.lba_shift);
}

}  // namespace nvmf::backend
