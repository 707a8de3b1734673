// A namespace on a device DAX (/dev/daxX.Y): persistent memory in mode devdax, or memory that was set aside for
// applications (CXL memory, "soft reserved" memory). The whole device is mapped, and lies open to RNICs
// (DeviceInfo::memory). The CPU writes what hosts write, and makes it persistent before the command is done.
//
// A power failure in the middle of a write may leave a logical block of persistent memory half old, half new: the
// memory's own atomic unit is 8 bytes. (Where that matters: a namespace in mode sector, by its block device.)
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "target/backend/descriptor.h"
#include "target/backend/device.h"
#include "target/backend/memory_channel.h"
#include "target/backend/persistence.h"

namespace nvmf::backend {

// What sysfs tells about a device DAX.
struct DaxFacts {
  uint64_t size_bytes = 0;
  PersistenceDomain domain = PersistenceDomain::None;
  std::string uuid;  // of the persistent memory namespace; empty: the kernel keeps none
};
// `directory`: of the device in sysfs; links are followed. None: it is no device DAX.
std::optional<DaxFacts> dax_facts(const std::string& directory);
const char* name_of(PersistenceDomain domain);

class DaxDevice final : public Device {
 public:
  explicit DaxDevice(const DeviceSpec& spec);
  // Of a device, or for tests a file, that is open already.
  DaxDevice(const DeviceSpec& spec, Descriptor opened, const DaxFacts& facts);
  ~DaxDevice() override;
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;

 private:
  Descriptor file_;  // locked as long as it is open
  std::unique_ptr<AddressableMemory> memory_;
};

}  // namespace nvmf::backend
