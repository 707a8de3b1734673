#include "target/backend/memory_device.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "target/backend/descriptor.h"

namespace nvmf::backend {
namespace {

constexpr uint64_t kPage = 4096;

// Gives whole pages back to the kernel, which hands out zeroes for them, and clears the rest.
void release(std::byte* begin, size_t length_bytes) {
  std::byte* const end = begin + length_bytes;
  auto* const first_page = std::bit_cast<std::byte*>((std::bit_cast<uintptr_t>(begin) + kPage - 1) & ~(kPage - 1));
  auto* const last_page = std::bit_cast<std::byte*>(std::bit_cast<uintptr_t>(end) & ~(kPage - 1));
  const bool has_pages = first_page < last_page;
  if (!has_pages || madvise(first_page, static_cast<size_t>(last_page - first_page), MADV_DONTNEED) != 0) {
    std::memset(begin, 0, length_bytes);
    return;
  }
  std::memset(begin, 0, static_cast<size_t>(first_page - begin));
  std::memset(last_page, 0, static_cast<size_t>(end - last_page));
}

}  // namespace

MemoryDevice::MemoryDevice(const DeviceSpec& spec) {
  const std::string name = "memory of " + std::to_string(spec.size_bytes) + " bytes";
  if (spec.block_bytes != 512 && spec.block_bytes != 4096) refuse(name, "the block size must be 512 or 4096");
  if (spec.size_bytes == 0 || spec.size_bytes % spec.block_bytes != 0)
    refuse(name, "the size must be a multiple of the block size");
  const auto lba_shift = static_cast<uint8_t>(std::countr_zero(spec.block_bytes));
  void* const address =
      mmap(nullptr, spec.size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) throw_errno(errno, name, "cannot be allocated");
  memory_ = std::make_unique<AddressableMemory>(static_cast<std::byte*>(address), spec.size_bytes, lba_shift);

  info_.lba_shift = lba_shift;
  info_.block_count = spec.size_bytes / spec.block_bytes;
  info_.supports_write_zeroes = true;
  info_.hints.deallocated_blocks = NVME_NS_DLFEAT_RB_ALL_0S | NVME_NS_DLFEAT_WRITE_ZEROES;
  info_.quiesce = {.ms = 0, .remedy = {}};
  info_.description = name;
  if (spec.zero_copy)
    take_all_pages(name);
  else
    give_pages_back();
}

// An RNIC keeps the pages that it was told of: none may be given back, and another one come in its place.
void MemoryDevice::take_all_pages(const std::string& name) {
  madvise(memory_->address, memory_->length_bytes, MADV_HUGEPAGE);
  if (madvise(memory_->address, memory_->length_bytes, MADV_POPULATE_WRITE) != 0) {
    const int error = errno;
    munmap(memory_->address, memory_->length_bytes);
    throw_errno(error, name, "cannot be taken at once, as \"zero_copy\" needs it");
  }
  info_.memory = {memory_->address, memory_->length_bytes};
  info_.quiesce = {.ms = kLongestClaimMs, .remedy = {}};
}

void MemoryDevice::give_pages_back() {
  memory_->clear = release;
  info_.supports_deallocate = true;
  const auto page_blocks = static_cast<uint32_t>(kPage >> info_.lba_shift);
  info_.hints.deallocate_granularity_blocks = info_.hints.deallocate_alignment_blocks = page_blocks;
}

MemoryDevice::~MemoryDevice() { munmap(memory_->address, memory_->length_bytes); }

std::unique_ptr<core::IoChannel> MemoryDevice::open_channel(UringEngine& engine) {
  return std::make_unique<MemoryChannel>(engine, *memory_);
}

}  // namespace nvmf::backend
