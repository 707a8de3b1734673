// The NVMe SSDs of this machine and their controller memory buffers, from sysfs. Reading never throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

struct NvmeNamespace {
  std::string block;    // "nvme0n1"
  std::string generic;  // "ng0n1"; empty: the kernel offers none
  uint32_t nsid = 0;
  uint64_t size_bytes = 0;
};

// CMBSZ and CMBLOC, as the kernel's nvme driver read them. NVM Express Base Specification, 3.1.3.
struct CmbRegisters {
  uint64_t size_bytes = 0;
  uint64_t offset_bytes = 0;       // in its BAR
  bool submission_queues = false;  // SQS
  bool read_data = false;          // RDS: the SSD may put data of reads there
  bool write_data = false;         // WDS: the SSD may take data of writes from there
};

struct NvmeController {
  std::string name;       // "nvme0"
  std::string transport;  // "pcie", "rdma", ...
  std::string bdf;        // PCI address; empty when it is not a PCI device
  std::string model;
  std::string serial;
  std::string state;  // "live", ...
  std::vector<NvmeNamespace> namespaces;
  std::optional<CmbRegisters> cmb;        // none: the controller has no CMB, or the kernel does not show it
  std::optional<PeerMemory> peer_memory;  // none: the kernel offers no peer memory of the SSD
  // The driver that has the SSD instead of the kernel's nvme; empty: no driver. Then `name` is the PCI address, and the
  // other fields are unknown.
  std::optional<std::string> other_driver;
};

// The SSDs that the kernel's nvme driver has.
std::vector<NvmeController> read_nvme_controllers(const Sysfs& sysfs);
// The SSDs on PCI that it does not have, for instance those bound to vfio-pci.
std::vector<NvmeController> read_other_nvme_controllers(const Sysfs& sysfs);

// The local SSD behind "/dev/ng0n1" or "/dev/nvme0n1": its PCI address, empty when there is none.
std::string ssd_of_device(const Sysfs& sysfs, const std::string& device);

// The namespaces by which the SSD at `bdf` can be given commands, "/dev/ng0n1", or "/dev/nvme0n1" where the kernel
// offers no other; in the order of their names.
std::vector<std::string> devices_of_ssd(const Sysfs& sysfs, const std::string& bdf);

}  // namespace nvmf::p2p
