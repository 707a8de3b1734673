// A namespace of an SSD that the kernel's driver keeps, reached through its generic character device (/dev/ngXnY): the
// commands pass the block layer by. Needs CAP_SYS_ADMIN. One that is mounted as a block device is refused.
#pragma once

#include <memory>
#include <string>

#include "target/backend/descriptor.h"
#include "target/backend/device.h"
#include "target/backend/nvme_channel.h"

namespace nvmf::backend {

// The kernel's limits on passthrough commands as the queue's sysfs attributes give them; 0: not known.
struct QueueLimits {
  uint64_t max_hw_sectors_kb = 0;
  uint64_t max_segments = 0;
};

// The most that one command may carry: of contiguous memory, and of memory of which every page is a segment.
struct TransferLimits {
  uint32_t contiguous_bytes;
  uint32_t scattered_bytes;
};
TransferLimits transfer_limits(const QueueLimits& queue, std::optional<uint64_t> mdts_bytes);

class NvmeDevice final : public Device {
 public:
  explicit NvmeDevice(const DeviceSpec& spec);
  std::unique_ptr<core::IoChannel> open_channel(UringEngine& engine) override;

 private:
  void claim_disk(const std::string& path, const std::string& name);
  void read_limits(const std::string& disk, std::optional<uint64_t> mdts_bytes);
  void drop_untrusted_identifiers(const std::string& disk);
  void choose_path_for_cmb();

  Descriptor file_;
  Descriptor disk_;  // the same namespace as a block device: held so that nobody mounts it
  NvmeGeometry geometry_;
};

}  // namespace nvmf::backend
