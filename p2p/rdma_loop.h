// An RNIC connected to itself: two connected queue pairs on one port, the near end's memory in the CMB, the far end's
// in DRAM. The RNIC accesses the CMB as it will for a remote host. Control plane, one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "p2p/cmb.h"
#include "p2p/copy_engine.h"
#include "transport/verbs/loop.h"

namespace nvmf::p2p {

// The part of a mapping that may be overwritten: whole pages.
struct CmbRange {
  uint64_t offset_bytes = 0;
  uint64_t length_bytes = 0;
};

class RdmaLoop final : public CopyEngine {
 public:
  // Throws PeerMemoryError, verbs::VerbsError. `mapping` must outlive this object. A transfer that has not ended after
  // `timeout` counts as failed.
  RdmaLoop(ibv_context* context, uint8_t port, const CmbMapping& mapping, CmbRange range, uint64_t dram_bytes,
           std::chrono::milliseconds timeout);
  ~RdmaLoop() override;

  std::span<std::byte> dram() override { return dram_; }
  uint64_t cmb_bytes() const override { return range_.length_bytes; }
  std::string copy(const Transfer& transfer) override;

 private:
  struct Pair;

  Pair& pair_for(uint32_t path_mtu);

  ibv_context* context_;
  uint8_t port_;
  ibv_ah_attr address_;
  CmbRange range_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<std::byte, void (*)(void*)> memory_;
  std::span<std::byte> dram_;
  verbs::ProtectionDomain domain_;
  CmbRegion cmb_;
  verbs::MemoryRegion dram_region_;
  std::map<uint32_t, std::unique_ptr<Pair>> pairs_;  // by path MTU
};

}  // namespace nvmf::p2p
