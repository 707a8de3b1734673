// What the SSD says of transfers through its CMB. It reads and writes its own CMB without any PCIe path between
// devices, so it can see what the RNIC's loop cannot: both directions going wrong in the same way, and which of them
// does.
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

enum class SsdWord : uint8_t { Silent, Agrees, Contradicts };

struct SsdEvidence {
  SsdWord host_reads = SsdWord::Silent;
  SsdWord host_writes = SsdWord::Silent;
  std::vector<std::string> notes;  // why silent, what contradicts
};

// For a pair whose loop has a witness. Host reads: pages are filled by the RNIC, some of them overwritten by the SSD
// with blocks of its media, and all fetched by the RNIC: exactly those blocks must have changed. Media of zeros will
// do, for the background is a pattern. Host writes: what the RNIC wrote must compare equal with the media, and no
// longer after one byte is altered. An SSD without Compare stays silent on writes: then the loop has proved the RNIC's
// side, Read has shown that both mean the same pages, and CMBSZ has promised the rest.
SsdEvidence confirm_with_ssd(SsdProbe& ssd, CopyEngine& engine, uint32_t witness_mtu, uint64_t seed);

// For a pair whose loop has no witness, because one direction fails. Needs media whose content differs from place to
// place: displaced zeros would look right. Host reads: the SSD fills the CMB from its media. Host writes: the SSD fills
// the CMB; each transfer is made over and over with other pieces of 64 bytes altered, until each piece was, and Compare
// must fail for just the blocks with an altered piece; then it is made with the right bytes, and Compare must succeed
// for all. So neither a transfer of which a part is dropped nor one that lands elsewhere is taken for a right one. What
// remains unproved has its reason in `failure`.
Evidence prove_with_ssd(SsdProbe& ssd, CopyEngine& engine, std::span<const uint32_t> path_mtus,
                        const ProofOptions& options);

}  // namespace nvmf::p2p
