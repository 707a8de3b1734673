#include "target/backend/device.h"

#include <utility>

#include "target/backend/block_device.h"
#include "target/backend/dax_device.h"
#include "target/backend/memory_device.h"
#include "target/backend/nvme_device.h"

namespace nvmf::backend {

std::unique_ptr<Device> open_device(const DeviceSpec& spec) {
  switch (spec.kind) {
    case DeviceKind::Nvme:
      return std::make_unique<NvmeDevice>(spec);
    case DeviceKind::Block:
      return std::make_unique<BlockDevice>(spec);
    case DeviceKind::File:
      return std::make_unique<FileDevice>(spec);
    case DeviceKind::Memory:
      return std::make_unique<MemoryDevice>(spec);
    case DeviceKind::Dax:
      return std::make_unique<DaxDevice>(spec);
  }
  return nullptr;
}

bool Device::take(const Measurement& measured) {
  info_.is_displaced = measured.is_displaced;
  const uint64_t blocks = measured.size_bytes >> info_.lba_shift;
  const uint64_t former_blocks = blocks != 0 ? std::exchange(info_.block_count, blocks) : info_.block_count;
  const bool cache = measured.volatile_write_cache.value_or(info_.volatile_write_cache);
  const bool had_cache = std::exchange(info_.volatile_write_cache, cache);
  return info_.block_count != former_blocks || cache != had_cache;
}

}  // namespace nvmf::backend
