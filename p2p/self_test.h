// Whether data may travel between the CMB of an SSD and an RNIC, proved before any user's data does.
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
  CmbRange range;                           // of the mapping that is overwritten; length 0: all of it
  uint32_t max_transfer_bytes = 1u << 20;   // the longest that the data path will make
  std::chrono::milliseconds timeout{2000};  // of one transfer
};

struct SelfTestResult {
  core::ProvenTransfers host_reads;
  core::ProvenTransfers host_writes;
  uint32_t active_mtu = 0;            // path MTU of the port at the time, bytes; 0: the test could not run
  std::vector<std::string> findings;  // sentences for the operator without the pair's names, the verdict first
  std::vector<std::string> remedies;  // what to do to get more; may be empty

  // Whether any transfer may use the CMB on a connection of this path MTU (bytes), in either direction.
  bool usable_at(uint32_t path_mtu) const;
};

// Blocks for a fraction of a second on hardware, some seconds on an emulated one. Overwrites `options.range`; nothing
// else may use it meanwhile. `ssd` asks the SSD, which only reads its media, for its word; null: the RNIC's loop has
// the only say. The result holds for the port's path MTU of this moment: run it again when the MTU or the port changes.
// Never throws for what the world does: a pair that cannot be tested is a pair that is not trusted.
SelfTestResult self_test(ibv_context* context, uint8_t port, const CmbMapping& mapping, const SelfTestOptions& options,
                         SsdProbe* ssd = nullptr);

// What a verdict is about, for its words.
struct SelfTestSubject {
  std::string rnic;         // "mlx5_0 port 1"
  std::string netdev;       // its network interface, empty for InfiniBand
  std::string ssd;          // PCI address
  uint32_t active_mtu = 0;  // path MTU of the port, bytes: the largest that is tried
};

// What self_test() does once it has an engine: proves, asks the SSD unless it is null, and puts it into words. The
// engine must have proof_dram_bytes(max_transfer_bytes) of DRAM and room for them in the CMB
// (testable_transfer_bytes()).
SelfTestResult examine(CopyEngine& engine, const SelfTestSubject& subject, uint64_t seed, uint32_t max_transfer_bytes,
                       SsdProbe* ssd);

}  // namespace nvmf::p2p
