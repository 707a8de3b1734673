// A namespace in memory, zero at first. It takes memory when it is written to, and returns memory when blocks are
// deallocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "target/backend/device.h"

namespace nvmf::backend {

class MemoryDevice final : public Device {
 public:
  explicit MemoryDevice(const DeviceSpec& spec);
  ~MemoryDevice() override;
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;

 private:
  std::byte* memory_;
  uint64_t size_bytes_;
};

}  // namespace nvmf::backend
