// Proves whether data may move between the CMB of an SSD and an RNIC, before any user's data does.
#pragma once

#include <infiniband/verbs.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/proof.h"
#include "p2p/rdma_loop.h"
#include "p2p/ssd_probe.h"
#include "target/core/datapath/memory.h"

namespace nvmf::p2p {

struct SelfTestOptions {
  CmbRange range;                           // the part of the mapping that is overwritten; length 0: all of it
  uint32_t max_transfer_bytes = 1u << 20;   // the longest transfer of the data path
  std::chrono::milliseconds timeout{2000};  // of one transfer
};

struct SelfTestResult {
  core::ProvenTransfers host_reads;
  core::ProvenTransfers host_writes;
  uint32_t active_mtu = 0;  // path MTU of the port at the time, bytes; 0: the test could not run
  std::vector<std::string>
      findings;  // sentences for the operator, without the names of SSD and RNIC, the verdict first
  std::vector<std::string> remedies;  // what to do so that more transfers work; may be empty

  // Whether any transfer may use the CMB on a connection of this path MTU (bytes), in either direction. Larger ones
  // than active_mtu were not tried.
  bool usable_at(uint32_t path_mtu) const {
    if (path_mtu > active_mtu) return false;
    return path_mtu >= host_reads.page_start_from_mtu || path_mtu >= host_writes.page_start_from_mtu;
  }
};

// Blocks for a fraction of a second on hardware, some seconds on an emulated one. Overwrites `options.range`, which
// nothing else may use meanwhile. `ssd` lets the SSD take part, which only reads its media; null: only the RNIC's loop
// is tested. The result holds for the port's present path MTU: run the test again when the MTU or the port changes.
// Does not throw when a device fails: a pair that cannot be tested is not used.
SelfTestResult self_test(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions& options,
                         SsdProbe* ssd = nullptr);

// Whether a proof that self_test() gave under the same conditions (proof_conditions.h) may be taken over: single pages
// all over `options.range`, which is overwritten, make the round trip at the path MTU of the proof. Blocks for a small
// part of the time of self_test(). Empty: it may; otherwise why not. A proof of one direction alone may not, because
// nothing makes the round trip then. Does not throw when a device fails.
std::string confirm(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions& options,
                    const SelfTestResult& proof);
// The part of it after the engine is set up, which must have proof_dram_bytes(kPageBytes) of DRAM.
std::string confirm(CopyEngine& engine, const SelfTestResult& proof, uint64_t seed);

// The pair that a verdict is about, for its text.
struct SelfTestSubject {
  std::string rnic;         // "mlx5_0 port 1"
  std::string netdev;       // its network interface, empty for InfiniBand
  std::string ssd;          // PCI address
  uint32_t active_mtu = 0;  // path MTU of the port, bytes: the largest that is tried
};

// The part of self_test() after the engine is set up: runs the proof, with the SSD unless it is null, and describes the
// result. The engine must have proof_dram_bytes(max_transfer_bytes) of DRAM and as much room in the CMB
// (testable_transfer_bytes()).
SelfTestResult examine(CopyEngine& engine, const SelfTestSubject& subject, uint64_t seed, uint32_t max_transfer_bytes,
                       SsdProbe* ssd);

}  // namespace nvmf::p2p
