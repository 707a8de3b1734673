// A block device or a regular file, read and written past the page cache where that is possible.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "target/backend/block_channel.h"
#include "target/backend/block_limits.h"
#include "target/backend/descriptor.h"
#include "target/backend/device.h"

namespace nvmf::backend {

// The remedy for an I/O scheduler that only slows commands down; none when there is no scheduler.
std::optional<std::string> scheduler_advice(const std::string& path, const std::string& queue);

// Opens the device exclusively: one that is mounted, or part of a RAID or volume group, is refused. So is one with
// zones that its users have to manage.
class BlockDevice final : public Device {
 public:
  explicit BlockDevice(const DeviceSpec& spec);
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;
  Measurement measure() const override;

 private:
  void take_limits(const std::string& path, const BlockLimits& limits);

  Descriptor file_;
  std::string queue_;  // its directory in sysfs; empty: not found
  BlockGeometry geometry_;
};

// A partial block at the file's end is not used. On a file system without direct I/O data goes through the page cache,
// with a line in DeviceInfo::notes.
class FileDevice final : public Device {
 public:
  explicit FileDevice(const DeviceSpec& spec);
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;
  Measurement measure() const override;

 private:
  void choose_direct_or_buffered(const DeviceSpec& spec);
  void probe_fallocate(const std::string& path);

  Descriptor file_;
  BlockGeometry geometry_;
};

}  // namespace nvmf::backend
