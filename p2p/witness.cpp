#include "p2p/witness.h"

#include <chrono>
#include <random>

#include "p2p/nvme_inventory.h"
#include "p2p/nvme_probe.h"
#include "p2p/proof.h"
#include "p2p/ssd_proof.h"
#include "p2p/transfer_cases.h"

namespace nvmf::p2p {
namespace {

constexpr std::chrono::milliseconds kTimeout{2000};  // of one transfer of the RNIC

ConsumerProof unproved(const std::string& why) {
  ConsumerProof proof;
  proof.reasons = {why};
  return proof;
}

uint64_t new_seed() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

}  // namespace

std::unique_ptr<SsdProbe> open_ssd(const Sysfs& sysfs, const std::string& bdf, const CmbMapping& mapping,
                                   CmbRange range, std::string& why_not) {
  why_not = "the kernel's nvme driver has no namespace of a device at " + bdf;
  for (const std::string& device : devices_of_ssd(sysfs, bdf)) {
    try {
      return std::make_unique<NvmeProbe>(device, mapping, range);
    } catch (const PeerMemoryError& failure) {
      why_not = failure.what();
    }
  }
  return nullptr;
}

ConsumerProof prove_consumer(const Sysfs& sysfs, const std::string& consumer, ibv_context* context, uint8_t port,
                             const CmbMapping& mapping, CmbRange range, uint32_t path_mtu) {
  if (testable_transfer_bytes(range.length_bytes, kPageBytes) == 0)
    return unproved("the CMB is too small to keep a part of it for that");
  try {
    std::string why_not;
    const auto probe = open_ssd(sysfs, consumer, mapping, range, why_not);
    if (!probe) return unproved(why_not);
    RdmaLoop loop(context, port, mapping, range, proof_dram_bytes(kPageBytes), kTimeout);
    return examine_consumer(*probe, loop, path_mtu, new_seed());
  } catch (const std::exception& failure) {
    return unproved(failure.what());
  }
}

// Silence proves nothing here: no register of the SSD promises that it reaches the CMB of another one.
ConsumerProof examine_consumer(SsdProbe& consumer, CopyEngine& engine, uint32_t path_mtu, uint64_t seed) {
  const SsdEvidence evidence = confirm_with_ssd(consumer, engine, path_mtu, seed);
  ConsumerProof proof;
  proof.host_reads = evidence.host_reads == SsdVerdict::Agrees;
  proof.host_writes = evidence.host_writes == SsdVerdict::Agrees;
  for (const std::string& note : {evidence.on_host_reads, evidence.on_host_writes})
    if (!note.empty()) proof.reasons.push_back(note);
  return proof;
}

}  // namespace nvmf::p2p
