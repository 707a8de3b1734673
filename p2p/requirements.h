// What peer-to-peer needs of the machine: kernel, modules, device files, permissions, limits.
#pragma once

#include <string>
#include <vector>

#include "p2p/nvme_inventory.h"
#include "p2p/rdma_inventory.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

struct Requirement {
  bool met = false;
  std::string what;    // "the RDMA connection manager is loaded (/dev/infiniband/rdma_cm)"
  std::string remedy;  // what to do when it is not met
};

// Whose rights are judged, for sentences: "this user", or "user NAME" (Sysfs::judge_as()).
std::string user_of(const Sysfs& sysfs);

// The requirements of this process on this machine, in the order in which to meet them.
std::vector<Requirement> check_requirements(const Sysfs& sysfs, const KernelVersion& kernel,
                                            const std::vector<NvmeController>& controllers,
                                            const std::vector<RdmaDevice>& rnics);

}  // namespace nvmf::p2p
