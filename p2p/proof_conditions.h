// The conditions under which the transfers between a CMB and an RNIC were proved: boot, kernel, self-test, SSD, RNIC,
// the path between them, and what was tested. While all of them are the same, the machine is the one that the proof is
// about, and a daemon that starts again may take the proof over from the one before (confirm() in self_test.h), as a
// daemon that goes on running does. Reading never throws. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "p2p/rdma_loop.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

// By name, in words for the operator.
using ProofConditions = std::map<std::string, std::string>;

// What a self-test is about.
struct ProofSubject {
  std::string bdf;   // of the SSD
  std::string rnic;  // "mlx5_0"
  uint8_t port = 1;
  uint32_t active_mtu = 0;          // path MTU of the port, bytes
  uint64_t mapping_bytes = 0;       // of the CMB
  CmbRange range{};                 // the part that is tested; length 0: all of it
  uint32_t max_transfer_bytes = 0;  // the longest transfer of the data path
  std::string probe_paths{};        // of the SSD's devices that may take part; empty: none
};

// Empty when it cannot be told whether the next daemon runs in the same boot: then no proof can be taken over. The boot
// is what the kernel says, or, where /proc does not show it (ProcSubset=pid), the variable NVMF_P2P_BOOT_ID, which the
// systemd unit sets.
ProofConditions read_conditions(const Sysfs& sysfs, const ProofSubject& subject);

// The first condition that is another one now: "the firmware of the SSD was "1.0" and is "2.0""; empty: none is.
std::string difference(const ProofConditions& then, const ProofConditions& now);

}  // namespace nvmf::p2p
