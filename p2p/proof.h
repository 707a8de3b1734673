// Proves which transfers between a CMB and an RNIC are right, by moving patterns and comparing every byte.
//
// The CPU may not read the CMB, so each byte that is checked has made two transfers: in (RDMA READ into the CMB) and
// out (RDMA WRITE from it). Two dangers follow, and the order of the proof avoids them.
//
//  - Errors that cancel. An engine that ignores the offset inside a page puts a byte into the wrong place and fetches
//    it from the same wrong place. So a transfer is never checked by its own mirror image: bytes that go in at any
//    offset are read back page by page, and bytes that come out at any offset were put there page by page, with guard
//    pages around them.
//  - A round trip that fails does not tell which direction is wrong. So the proof first looks for page copies that
//    work: the largest path MTU at which single pages, each starting on its boundary, make the round trip right. Pages
//    all over the range are filled with different bytes before the first one is fetched, and in another order, so that
//    pages that are lost, stay stale or share memory are noticed. With page copies that work, each direction is proved
//    alone at every path MTU; without them this module proves nothing, and only the SSD can tell the directions apart
//    (ssd_proof.h).
//
// One error remains unnoticed: both directions move whole pages to the same wrong pages, one to one. Only the SSD,
// which knows its own CMB, can see that (ssd_proof.h).
//
// Pure logic over a CopyEngine; one thread; its time is bounded by the engine's. Throws nothing but std::bad_alloc and
// std::invalid_argument (an engine with too little memory).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "p2p/copy_engine.h"
#include "target/core/datapath/memory.h"

namespace nvmf::p2p {

// The transfers that are right in one direction at one path MTU.
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
  uint32_t page_copy_mtu = 0;  // bytes; 0: no page made the round trip
  std::string no_page_copy;    // why, empty when page copies work
  bool short_packets_right =
      false;  // page copies fail, but pieces that start on a page and fit into one packet are right
  std::vector<MtuEvidence> by_mtu;  // largest path MTU first
};

struct ProofOptions {
  uint64_t seed = 0;  // a new one for each run, so that bytes of the last run are not mistaken for new ones
  uint32_t max_transfer_bytes = 0;  // the longest transfer of the data path
};

// DRAM that the engine must offer, for transfers up to `max_transfer_bytes`.
uint64_t proof_dram_bytes(uint32_t max_transfer_bytes);
// The longest transfer that can be tested in a range of `cmb_bytes`, at most `wanted_bytes`; 0: the range is too small.
uint32_t testable_transfer_bytes(uint64_t cmb_bytes, uint32_t wanted_bytes);

// `path_mtus`: in bytes, largest first.
Evidence prove_by_loop(CopyEngine& engine, std::span<const uint32_t> path_mtus, const ProofOptions& options);

// The first part of prove_by_loop(), at one path MTU: moves single pages all over the range into the CMB and back. What
// went wrong; empty: nothing. Needs proof_dram_bytes(kPageBytes).
std::string prove_page_copies(CopyEngine& engine, uint32_t path_mtu, uint64_t seed);

// The smallest path MTU from which on, up to the largest one tried, all transfers were right.
core::ProvenTransfers proven_transfers(const Evidence& evidence, Direction direction);

}  // namespace nvmf::p2p
