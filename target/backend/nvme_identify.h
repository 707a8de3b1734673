// What an SSD says about itself and one of its namespaces: NVMe Base 2.0, section 5.17 (Identify).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "target/backend/device.h"
#include "target/nvme/types.h"

namespace nvmf::backend {

struct NvmeIdentity {
  nvme_id_ctrl controller{};
  nvme_id_ns space{};
  std::optional<nvme_id_ctrl_nvm> limits;  // from NVMe 2.0 on
  // Of a zoned namespace that the SSD has identified.
  std::optional<nvme_zns_id_ns> zones;
  uint8_t zasl = 0;                           // the same; 0: MDTS
  std::array<std::byte, 4096> descriptors{};  // Namespace Identification Descriptor list; zeroes: none
};

// Asks the SSD through its generic device (NVME_IOCTL_ADMIN_CMD). Throws std::system_error or std::runtime_error.
NvmeIdentity identify(int fd, uint32_t nsid, const std::string& path);

// Why the namespace cannot be served, for the operator; none when it can: metadata, a block size other than 512 or
// 4096, or another command set than NVM and Zoned Namespace.
std::optional<std::string> refusal(const NvmeIdentity& identity);

// Atomic writes are at most this long, since longer commands may be split: see NvmeGeometry.
void limit_atomic_writes(core::IoHints& hints, uint32_t most_bytes, uint8_t lba_shift);

// Fills in everything of `info` that Identify knows.
void describe(const NvmeIdentity& identity, DeviceInfo& info);

// The longest Zone Append of a zoned namespace, in bytes, from ZASL and MDTS; none when it has no bound.
std::optional<uint64_t> max_zone_append_bytes(const NvmeIdentity& identity);
// The longest transfer of one command, in bytes, from MDTS; none when it has no bound.
std::optional<uint64_t> max_transfer_bytes(const nvme_id_ctrl& controller);
// VSL or WUSL in blocks; without a limit, as many as a command can name.
uint32_t size_limit_blocks(uint8_t limit, uint8_t lba_shift);

}  // namespace nvmf::backend
