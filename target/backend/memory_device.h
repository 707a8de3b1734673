// A namespace in memory, zero at first. It takes memory when it is written to, and returns memory when blocks are
// deallocated; or takes all of it at once, and lies open to RNICs (DeviceInfo::memory).
#pragma once

#include <memory>
#include <string>

#include "target/backend/device.h"
#include "target/backend/memory_channel.h"

namespace nvmf::backend {

class MemoryDevice final : public Device {
 public:
  explicit MemoryDevice(const DeviceSpec& spec);
  ~MemoryDevice() override;
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;

 private:
  void take_all_pages(const std::string& name);
  void give_pages_back();

  std::unique_ptr<AddressableMemory> memory_;
};

}  // namespace nvmf::backend
