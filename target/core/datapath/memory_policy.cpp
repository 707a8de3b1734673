// HOT PATH: CMB or DRAM, for each command.
#include "target/core/datapath/memory_policy.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "target/core/datapath/buffer_pool.h"
#include "target/core/datapath/queue.h"
#include "target/core/datapath/request.h"

namespace nvmf::core {
namespace {

// Checks the pair of SSD and RNIC and this connection: the same for every command of one direction.
Fallback connection_allows(const IoNamespace& ns, const ProvenTransfers& proven, uint32_t path_mtu) {
  if (ns.cmb == nullptr || proven.page_start_from_mtu == ProvenTransfers::kNever) return Fallback::Refused;
  const bool is_proved = path_mtu >= proven.page_start_from_mtu && path_mtu <= ns.p2p.largest_tried_mtu;
  return is_proved ? Fallback::None : Fallback::PathMtu;
}

// Where peer-to-peer is required. A path MTU that was not tried yet will be soon (PeerMemories); else a retry would
// fail again, for the path MTU of a connection never changes.
Status not_ready(const IoNamespace& ns, uint32_t path_mtu) {
  const Status status = NVME_SC_NS_NOT_READY;
  return ns.cmb != nullptr && path_mtu > ns.p2p.largest_tried_mtu ? status : status.do_not_retry();
}

// Checks this command.
Fallback command_allows(const Request& request, const ProvenTransfers& proven, uint32_t path_mtu) {
  const P2pPolicy& policy = request.ns->p2p;
  if (request.processor_needs_data) return Fallback::ProcessorNeeds;
  if (path_mtu < proven.any_offset_from_mtu && !request.pointer.page_aligned) return Fallback::Alignment;
  if (request.length_bytes > std::min(policy.max_bytes, request.ns->cmb->max_buffer_bytes())) return Fallback::TooLarge;
  if (policy.mode == P2pMode::Prefer && request.length_bytes < policy.min_bytes) return Fallback::BelowThreshold;
  return Fallback::None;
}

}  // namespace

MemoryChoice choose_memory(const Request& request) {
  const IoNamespace* const ns = request.ns;
  if (ns == nullptr || ns->p2p.mode == P2pMode::Off || request.transfer == Transfer::None) return {};

  const ProvenTransfers& proven =
      request.transfer == Transfer::ControllerToHost ? ns->p2p.host_reads : ns->p2p.host_writes;
  const uint32_t path_mtu = request.queue->path_mtu;
  if (const Fallback reason = connection_allows(*ns, proven, path_mtu); reason != Fallback::None) {
    if (ns->p2p.mode == P2pMode::Require && !request.processor_needs_data)
      return {nullptr, reason, not_ready(*ns, path_mtu)};
    return {nullptr, reason, kSuccess};
  }
  if (const Fallback reason = command_allows(request, proven, path_mtu); reason != Fallback::None)
    return {nullptr, reason, kSuccess};
  return {ns->cmb, Fallback::None, kSuccess};
}

const char* name_of(DataPath path) {
  static constexpr std::array<const char*, kDataPaths> kNames = {"cmb", "dram", "in_capsule", "direct"};
  static_assert(kDataPaths == static_cast<size_t>(DataPath::Direct) + 1 && kNames.back() != nullptr);
  return kNames[static_cast<size_t>(path)];
}

const char* name_of(Fallback reason) {
  static constexpr std::array<const char*, kFallbacks> kNames = {
      "none", "refused", "path_mtu", "alignment", "pool_dry", "too_large", "below_threshold", "processor_needs",
  };
  static_assert(kFallbacks == static_cast<size_t>(Fallback::ProcessorNeeds) + 1 && kNames.back() != nullptr);
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace nvmf::core
