// The SSD's part in the proof of a CMB. It reads and writes its own CMB without any PCIe path between devices, so it
// can see what the RNIC's loop cannot: that both directions are wrong in the same way, or which of them is wrong.
//
// Only reads of the media are used: Read into the CMB, and Compare with data in the CMB. Others may write to the
// namespace meanwhile: a difference counts only if the media still hold what they held before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "p2p/copy_engine.h"
#include "p2p/proof.h"
#include "p2p/ssd_probe.h"

namespace nvmf::p2p {

enum class SsdVerdict : uint8_t { Silent, Agrees, Contradicts };

struct SsdEvidence {
  SsdVerdict host_reads = SsdVerdict::Silent;
  SsdVerdict host_writes = SsdVerdict::Silent;
  // Why the SSD is silent, or what contradicts; empty: it agrees, or why is said of the other direction.
  std::string on_host_reads;
  std::string on_host_writes;
};

// For a pair whose page copies work. Host reads: the RNIC fills pages, the SSD overwrites some of them with blocks of
// its media, and the RNIC reads all of them: exactly those blocks must have changed. Media of zeros suffice, because
// the background is a pattern. Host writes: the bytes that the RNIC wrote must compare equal with the media, and differ
// after one byte is altered. An SSD without Compare is silent about writes: then the loop has proved the RNIC's side,
// Read has shown that both access the same pages, and CMBSZ promises the rest.
SsdEvidence confirm_with_ssd(SsdProbe& ssd, CopyEngine& engine, uint32_t page_copy_mtu, uint64_t seed);

// For a pair whose page copies fail, because one direction is wrong. Needs media whose content differs from place to
// place: displaced zeros would look right. Host reads: the SSD fills the CMB from its media. Host writes: the SSD fills
// the CMB; each transfer is repeated with other pieces of 64 bytes altered, until each piece was altered once, and
// Compare must fail for exactly the blocks with an altered piece; then it is made with the right bytes, and Compare
// must succeed for all blocks. So the proof notices a transfer that loses a part as well as one that lands elsewhere. A
// transfer that remains unproved has its reason in `failure`.
Evidence prove_with_ssd(SsdProbe& ssd, CopyEngine& engine, std::span<const uint32_t> path_mtus,
                        const ProofOptions& options);

}  // namespace nvmf::p2p
