// The SSDs that take part in the proof of a CMB: its own, and others whose namespaces are to use it ("p2p_provider").
// Another SSD reaches the CMB over PCI Express, as the RNIC does, and in both directions: its reads of the media write
// to the CMB, and its writes of the media read the CMB. Root complexes fail at either. So its accesses are proved
// before its namespaces use the CMB, with an RNIC at the other end for which the CMB is proved.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/copy_engine.h"
#include "p2p/rdma_loop.h"
#include "p2p/ssd_probe.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

// The SSD at `bdf`, by the first of its namespaces that can take part. `mapping` and `range` as for the NvmeProbe. Null
// when none can; `why_not` says why then.
std::unique_ptr<SsdProbe> open_ssd(const Sysfs& sysfs, const std::string& bdf, const CmbMapping& mapping,
                                   CmbRange range, std::string& why_not);

// What an SSD does right with the CMB of another one.
struct ConsumerProof {
  bool host_reads = false;
  bool host_writes = false;
  std::vector<std::string> reasons;  // why not, for the operator; without the names of the SSDs
};

// Of the SSD at `consumer`. `path_mtu`: of page copies that are proved for the RNIC in both directions. Overwrites
// `range`, which nothing else may use meanwhile; reads the media only. Blocks for a fraction of a second. Does not
// throw when a device fails, or cannot be asked: then nothing is proved.
ConsumerProof prove_consumer(const Sysfs& sysfs, const std::string& consumer, ibv_context* context, uint8_t port,
                             const CmbMapping& mapping, CmbRange range, uint32_t path_mtu);

// The part of it after the devices are opened; the engine must have proof_dram_bytes(kPageBytes) of DRAM.
ConsumerProof examine_consumer(SsdProbe& consumer, CopyEngine& engine, uint32_t path_mtu, uint64_t seed);

}  // namespace nvmf::p2p
