// The SSD's part in the self-test, through the kernel's NVMe passthrough. Synchronous; control plane.
//
// Commands with their data in the CMB are of one page. Longer passthrough commands reach the SSD as a list of
// descriptors in DRAM, and some SSDs refuse a list in DRAM with data in the CMB.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "p2p/cmb.h"
#include "p2p/rdma_loop.h"
#include "p2p/ssd_probe.h"

namespace nvmf::p2p {

class NvmeProbe final : public SsdProbe {
 public:
  // `device`: the namespace, "/dev/ng0n1" or "/dev/nvme0n1". `mapping`, of its SSD's CMB or of another one's, must
  // outlive this object; `range` as for the RdmaLoop. Throws PeerMemoryError when the namespace cannot be used
  // (permissions, metadata in the blocks).
  NvmeProbe(const std::string& device, const CmbMapping& mapping, CmbRange range);
  ~NvmeProbe() override;
  NvmeProbe(const NvmeProbe&) = delete;
  NvmeProbe& operator=(const NvmeProbe&) = delete;

  uint32_t block_bytes() const override { return block_bytes_; }
  uint64_t block_count() const override { return block_count_; }
  bool has_compare() const override { return has_compare_; }

  std::string read(uint64_t slba, std::span<std::byte> dram) override;
  std::string read_into_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes) override;
  Comparison compare_from_cmb(uint64_t slba, uint64_t cmb_offset, uint32_t length_bytes, std::string& error) override;

 private:
  void identify_namespace();
  void identify_controller();
  void identify(uint32_t nsid, uint32_t cns, void* data, const char* what) const;
  // One command. 0, an NVMe status (positive) or a negative errno.
  int transfer(uint8_t opcode, uint64_t slba, std::byte* data, uint32_t length_bytes) const;
  // As many commands as necessary, up to the first that fails.
  int transfer_all(uint8_t opcode, uint64_t slba, std::span<std::byte> data, uint32_t piece_bytes) const;

  std::string device_;
  std::byte* range_start_;
  int descriptor_ = -1;
  uint32_t nsid_ = 0;
  uint32_t block_bytes_ = 0;
  uint64_t block_count_ = 0;
  uint32_t max_transfer_bytes_ = 0;
  bool has_compare_ = false;
};

}  // namespace nvmf::p2p
