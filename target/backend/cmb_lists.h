// Whether an SSD takes passthrough commands with more than one page of its controller memory buffer (CMB).
//
// Each page is a segment of its own to the kernel, which describes several to the SSD as a scatter-gather list in host
// memory. QEMU's SSD refuses that (Invalid Use of Controller Memory Buffer), whatever its CMBLOC says. The block layer
// describes the same transfer as a list of pages, which it takes.
#pragma once

#include <cstdint>
#include <string>

namespace nvmf::backend {

// Tries it with a read of the namespace's first 8 KiB. False also when the SSD has no CMB, or none that is free.
bool refuses_lists_for_cmb(int generic_fd, uint32_t nsid, uint8_t lba_shift, const std::string& pci_address);

}  // namespace nvmf::backend
