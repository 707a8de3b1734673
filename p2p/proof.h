// What transfers between a CMB and an RNIC can be trusted with, found out by moving patterns and comparing every byte.
//
// The CPU may not look into the CMB, so each byte that is checked has made two journeys: in (RDMA READ into the CMB)
// and out (RDMA WRITE from it). Two dangers follow, and the order of the proof answers them.
//
//  - Errors that cancel. An engine that ignores the offset inside a page puts a byte into the wrong place and fetches
//    it from the same wrong place. So a transfer is never checked by its own mirror image: what goes in at any offset
//    is fetched page by page, and what comes out at any offset was put there page by page, with guard pages around it.
//  - A round trip that fails does not tell which way lies. So first a witness is looked for: the largest path MTU at
//    which single pages, each starting on its boundary, make the round trip right. Pages all over the range are filled
//    with different bytes before the first one is fetched, and in another order, so that pages that drop, stay stale or
//    share memory are seen. With a witness, each direction is proved alone at every path MTU; without one this module
//    trusts nothing, and only the SSD can tell the directions apart (ssd_proof.h).
//
// What is left: both directions moving whole pages to the same wrong pages, one to one. Only the SSD, which knows its
// own CMB, can see that; ssd_proof.h asks it.
//
// Pure logic over a CopyEngine; one thread; bounded by the engine's bounds. Nothing here throws but std::bad_alloc and
// std::invalid_argument (an engine with too little room).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "p2p/copy_engine.h"
#include "target/core/datapath/memory.h"

namespace nvmf::p2p {

// Of one direction at one path MTU.
struct Trust {
  bool page_start = false;  // transfers that start on a page boundary, of any length
  bool any_offset = false;  // all transfers; implies page_start
  std::string failure;      // the first transfer that went wrong, empty when all went right
};

struct MtuEvidence {
  uint32_t path_mtu = 0;  // bytes
  Trust host_reads;
  Trust host_writes;
};

struct Evidence {
  uint32_t witness_mtu = 0;          // bytes; 0: no page made the round trip
  std::string no_witness;            // why, empty when there is one
  bool short_packets_right = false;  // no witness, but pieces that start on a page and fit into one packet come through
  std::vector<MtuEvidence> by_mtu;   // largest path MTU first
};

struct ProofOptions {
  uint64_t seed = 0;                // a new one for each run, so that bytes of the last run are not taken for new ones
  uint32_t max_transfer_bytes = 0;  // the longest that the data path will make
};

// DRAM that the engine must offer, for transfers up to `max_transfer_bytes`.
uint64_t proof_dram_bytes(uint32_t max_transfer_bytes);
// The longest transfer that a range of `cmb_bytes` has room to test, no more than `wanted_bytes`; 0: too small.
uint32_t testable_transfer_bytes(uint64_t cmb_bytes, uint32_t wanted_bytes);

// `path_mtus`: in bytes, largest first.
Evidence prove_by_loop(CopyEngine& engine, std::span<const uint32_t> path_mtus, const ProofOptions& options);

// The smallest path MTU from which on, up to the largest one tried, everything was right.
core::ProvenTransfers proven_transfers(const Evidence& evidence, Direction direction);

}  // namespace nvmf::p2p
