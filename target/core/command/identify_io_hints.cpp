#include "target/core/command/identify_io_hints.h"

#include <algorithm>

#include "target/core/datapath/limits.h"

namespace nvmf::core {
namespace {

// A count of blocks as the 0-based fields of 16 bits hold it.
uint16_t blocks_z(uint32_t blocks) { return static_cast<uint16_t>(std::clamp<uint32_t>(blocks, 1, 0x10000) - 1); }

// Of boundaries 0 stands for none, so that one of a single block cannot be told; nor can one that is too large.
uint16_t boundary_z(uint32_t blocks) { return blocks > 0x10000 ? uint16_t{0} : blocks_z(blocks); }

bool has_larger_atomic_writes(const IoHints& hints) {
  return hints.atomic_write_blocks > 1 || hints.atomic_write_power_fail_blocks > 1;
}

bool has_preferences(const IoHints& hints) {
  return hints.write_granularity_blocks > 1 || hints.deallocate_granularity_blocks > 1 ||
         hints.optimal_write_blocks != 0;
}

void fill_atomic_writes(const IoHints& hints, nvme_id_ns& id) {
  id.nsfeat |= NVME_NS_FEAT_NATOMIC;
  id.nawun = blocks_z(hints.atomic_write_blocks);
  id.nawupf = blocks_z(hints.atomic_write_power_fail_blocks);
  id.nabsn = boundary_z(hints.atomic_boundary_blocks);
  id.nabspf = boundary_z(hints.atomic_boundary_power_fail_blocks);
  const bool has_boundary = id.nabsn != 0 || id.nabspf != 0;
  id.nabo = has_boundary ? static_cast<uint16_t>(hints.first_atomic_boundary_lba) : uint16_t{0};
}

// NOWS is a multiple of NPWG, and has no value that says «not known»: 0 is one block, which Linux 6.1 shows as an
// optimal size of 512 bytes. So it is the least that hosts write anyway, a page, in whole granules.
uint32_t optimal_write_blocks(const NamespaceOptions& ns) {
  if (ns.hints.optimal_write_blocks != 0) return ns.hints.optimal_write_blocks;
  const uint32_t page = limits::kPageBytes >> ns.lba_shift;
  const uint32_t granule = std::max(ns.hints.write_granularity_blocks, 1u);
  return (page + granule - 1) / granule * granule;
}

void fill_preferences(const NamespaceOptions& ns, nvme_id_ns& id) {
  const IoHints& hints = ns.hints;
  id.nsfeat |= NVME_NS_FEAT_IO_OPT;
  id.npwg = blocks_z(hints.write_granularity_blocks);
  id.npwa = blocks_z(hints.write_alignment_blocks);
  id.npdg = blocks_z(hints.deallocate_granularity_blocks);
  id.npda = blocks_z(hints.deallocate_alignment_blocks);
  id.nows = blocks_z(optimal_write_blocks(ns));
}

}  // namespace

void fill_io_hints(const NamespaceOptions& ns, nvme_id_ns& id) {
  const uint32_t boundary = ns.optimal_io_boundary_blocks;
  id.noiob = boundary <= UINT16_MAX ? static_cast<uint16_t>(boundary) : uint16_t{0};
  id.dlfeat = ns.hints.deallocated_blocks;
  if (has_larger_atomic_writes(ns.hints)) fill_atomic_writes(ns.hints, id);
  if (has_preferences(ns.hints)) fill_preferences(ns, id);
}

}  // namespace nvmf::core
