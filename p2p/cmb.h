// Controller memory buffers as the kernel's nvme driver gives them to processes (the "sysfs" provider): a mapping of
// the memory, and its registration with an RNIC.
//
// The CPU never touches payload in a mapping: loads from a PCI device are thousands of times slower than from DRAM.
// Control plane; throws PeerMemoryError, whose text names the SSD or RNIC, what failed and what to do.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#include "p2p/sysfs.h"
#include "target/core/datapath/memory.h"
#include "transport/verbs/verbs.h"

namespace nvmf::p2p {

class PeerMemoryError : public std::system_error {
 public:
  PeerMemoryError(int error, const std::string& what) : std::system_error(error, std::generic_category(), what) {}
};

// What /sys/bus/pci/devices/BDF/p2pmem says.
struct PeerMemory {
  uint64_t size_bytes = 0;
  uint64_t available_bytes = 0;  // not in use
  bool published = false;        // the driver offers the CMB for data (CMBSZ has RDS and WDS)
  bool mappable = false;         // the file "allocate" exists: Linux 6.2
  bool permitted = false;        // this process may map it
};
// None when the PCI device has no peer memory.
std::optional<PeerMemory> read_peer_memory(const Sysfs& sysfs, const std::string& bdf);

// A contiguous piece of the CMB of the SSD at PCI address `bdf`, owned by this process until destruction. All memory
// regions on it must be destroyed before.
class CmbMapping {
 public:
  CmbMapping(std::string bdf, std::byte* address, size_t length_bytes);
  CmbMapping(CmbMapping&& other) noexcept;
  CmbMapping& operator=(CmbMapping&& other) noexcept;
  ~CmbMapping();

  const std::string& bdf() const { return bdf_; }
  std::byte* address() const { return address_; }        // a page boundary
  size_t length_bytes() const { return length_bytes_; }  // whole pages

 private:
  std::string bdf_;
  std::byte* address_ = nullptr;
  size_t length_bytes_ = 0;
};

// Maps `length_bytes`, rounded up to whole pages. 0: all available memory, or the largest contiguous half, quarter, ...
// of it.
CmbMapping map_cmb(const Sysfs& sysfs, const std::string& bdf, size_t length_bytes = 0);

// A mapping registered on demand with an RNIC: the source of RDMA WRITEs and the sink of RDMA READs, closed to remote
// access. Its pages are faulted in at construction when the device can do so. Needs Linux 6.17.
class CmbRegion {
 public:
  CmbRegion(ibv_pd* domain, const CmbMapping& mapping);

  ibv_mr* get() const { return region_.get(); }
  // In the form that the core's pools take.
  core::Buffer buffer() const;

 private:
  verbs::MemoryRegion region_;
};

}  // namespace nvmf::p2p
