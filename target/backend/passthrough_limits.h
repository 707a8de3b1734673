// What the kernel and an SSD take of passthrough commands: as sysfs says, and as tried out when a namespace is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nvmf::backend {

// The request queue's limits as sysfs gives them; 0: not known.
struct QueueLimits {
  uint64_t max_hw_sectors_kb = 0;
  uint64_t max_segments = 0;
};

// The most that one command may carry: of contiguous memory, and of memory of which every page is a segment. Multiples
// of 4 KiB.
struct TransferLimits {
  uint32_t contiguous_bytes;
  uint32_t scattered_bytes;
};
TransferLimits transfer_limits(const QueueLimits& queue, std::optional<uint64_t> mdts_bytes);

// The namespace to try things with: reads of its first blocks.
struct PassthroughSubject {
  int generic_fd;
  uint32_t nsid;
  uint8_t lba_shift;
};

// Whether commands may name memory that is registered with io_uring. Some kernels (6.1 is one) count the segments up to
// the end of the registered buffer instead of those of the transfer, and refuse.
bool takes_registered_memory(const PassthroughSubject& subject);

// Whether commands may name more than one page of the SSD's controller memory buffer (CMB). Each page is a segment of
// its own to the kernel, which describes several as a scatter-gather list in host memory. QEMU's SSD refuses that
// (Invalid Use of Controller Memory Buffer), whatever its CMBLOC says. The block layer describes the same transfer as a
// list of pages, which it takes. No, too, when it could not be tried: there is no CMB, or none of it is free.
bool takes_lists_for_cmb(const PassthroughSubject& subject, const std::string& pci_address);

}  // namespace nvmf::backend
