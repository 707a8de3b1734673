#include "target/backend/device.h"

#include "target/backend/block_device.h"
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
  }
  return nullptr;
}

bool Device::remeasure() {
  const uint64_t blocks = size_now().value_or(0) >> info_.lba_shift;
  if (blocks == 0 || blocks == info_.block_count) return false;
  info_.block_count = blocks;
  return true;
}

}  // namespace nvmf::backend
