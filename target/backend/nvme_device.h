// A namespace of an SSD with the kernel's driver, accessed through its generic character device (/dev/ngXnY): commands
// bypass the block layer. Needs CAP_SYS_ADMIN. One that is mounted as a block device is refused.
#pragma once

#include <memory>
#include <string>

#include "target/backend/descriptor.h"
#include "target/backend/device.h"
#include "target/backend/nvme_channel.h"

namespace nvmf::backend {

class NvmeDevice final : public Device {
 public:
  explicit NvmeDevice(const DeviceSpec& spec);
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;
  Measurement measure() const override;

 private:
  void take_limits(const nvme_id_ctrl_nvm& limits);
  void claim_disk(const std::string& path, const std::string& name);
  void read_limits(const std::string& disk, std::optional<uint64_t> mdts_bytes);
  void drop_untrusted_identifiers(const std::string& disk);
  void try_passthrough(const std::string& disk);

  std::string disk_directory_;  // in sysfs, of the same namespace as a block device; empty: none
  Descriptor file_;
  Descriptor disk_;  // the same namespace as a block device: open so that it cannot be mounted
  NvmeGeometry geometry_;
};

}  // namespace nvmf::backend
