#include "target/backend/block_limits.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "target/backend/block_channel.h"
#include "target/backend/sysfs.h"
#include "target/backend/trial.h"

namespace nvmf::backend {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kLargestAlignment = 4096;

class Attributes {
 public:
  Attributes(const std::string& disk, const std::string& queue, uint8_t lba_shift)
      : disk_(disk), queue_(queue), lba_shift_(lba_shift) {}

  uint64_t of_queue(const char* name) const { return sysfs::read_number(queue_ + "/" + name).value_or(0); }
  // Of a partition its own, where the disk has the same one.
  uint64_t of_disk(const char* name) const { return sysfs::read_number(disk_ + "/" + name).value_or(0); }
  std::string text(const char* name) const { return sysfs::read_text(queue_ + "/" + name).value_or(std::string()); }
  uint32_t blocks(uint64_t bytes) const {
    return static_cast<uint32_t>(std::min<uint64_t>(bytes >> lba_shift_, UINT32_MAX));
  }
  uint32_t at_least_one_block(uint64_t bytes) const { return std::max(1u, blocks(bytes)); }

 private:
  const std::string& disk_;
  const std::string& queue_;
  const uint8_t lba_shift_;
};

// What begins every `granularity` bytes, the first time after `offset`, begins at multiples of this.
uint64_t alignment_of(uint64_t granularity, uint64_t offset) { return std::gcd(granularity, offset); }

// A physical block is written whole or not at all, which the kernel and file systems rely on. (What it says of larger
// atomic writes holds for those that are marked as such alone.)
void read_physical_block(const Attributes& of, core::IoHints& hints) {
  const uint32_t blocks = of.at_least_one_block(of.of_queue("physical_block_size"));
  if (blocks == 1) return;
  hints.atomic_write_blocks = hints.atomic_write_power_fail_blocks = blocks;
  hints.atomic_boundary_blocks = hints.atomic_boundary_power_fail_blocks = blocks;
  hints.first_atomic_boundary_lba = of.blocks(of.of_disk("alignment_offset")) % blocks;
}

void read_granularities(const Attributes& of, core::IoHints& hints) {
  const uint64_t write = of.of_queue("minimum_io_size");
  hints.write_granularity_blocks = of.at_least_one_block(write);
  hints.write_alignment_blocks = of.at_least_one_block(alignment_of(write, of.of_disk("alignment_offset")));
  hints.optimal_write_blocks = of.blocks(of.of_queue("optimal_io_size"));
  const uint64_t deallocate = of.of_queue("discard_granularity");
  hints.deallocate_granularity_blocks = of.at_least_one_block(deallocate);
  hints.deallocate_alignment_blocks = of.at_least_one_block(alignment_of(deallocate, of.of_disk("discard_alignment")));
}

// Hosts count boundaries from the first block. Those of the disk are elsewhere in a partition that does not begin at
// one.
uint32_t optimal_io_boundary(const Attributes& of) {
  const uint64_t sectors = of.of_queue("chunk_sectors");
  if (sectors == 0 || of.of_disk("start") % sectors != 0) return 0;
  return of.blocks(sectors * kSector);
}

// Linux 6.17 and later says so. A disk that has commands for both, but not for both at once (SCSI's WRITE SAME without
// UNMAP), would write zeroes to all that it is to deallocate.
bool zeroes_and_unmaps(const Attributes& of, const std::string& queue) {
  const auto unmap_bytes = sysfs::read_number(queue + "/write_zeroes_unmap_max_bytes");
  return of.of_queue("write_zeroes_max_bytes") != 0 && unmap_bytes != 0;
}

}  // namespace

BlockLimits read_block_limits(const std::string& disk, const std::string& queue, uint8_t lba_shift) {
  const Attributes of(disk, queue, lba_shift);
  BlockLimits limits;
  limits.host_managed_zones = of.text("zoned") == "host-managed";
  limits.discards = of.of_queue("discard_max_bytes") != 0;
  limits.zeroes_and_unmaps = limits.discards && zeroes_and_unmaps(of, queue);
  limits.volatile_write_cache = has_write_cache(queue);
  if (const auto mask = sysfs::read_number(queue + "/dma_alignment"); mask && *mask < kLargestAlignment)
    limits.memory_alignment_bytes = static_cast<uint32_t>(*mask) + 1;
  limits.optimal_io_boundary_blocks = optimal_io_boundary(of);
  limits.hints.rotational = of.of_queue("rotational") != 0;
  read_physical_block(of, limits.hints);
  read_granularities(of, limits.hints);
  return limits;
}

bool has_write_cache(const std::string& queue) { return sysfs::read_text(queue + "/write_cache") != "write through"; }

bool takes_discard_commands(int fd, uint8_t lba_shift, uint64_t block_count) {
  UringEngine engine(kTrialEngine);
  BlockChannel channel(engine, fd, {.lba_shift = lba_shift, .deallocate = Deallocate::Discard});
  const nvme_dsm_range behind_the_end{.cattr = 0, .nlb = 1, .slba = block_count};
  TrialIo io;
  io.kind = core::IoKind::Deallocate;
  io.range_count = 1;
  alignas(nvme_dsm_range) std::byte range[sizeof behind_the_end];
  std::memcpy(range, &behind_the_end, sizeof behind_the_end);
  io.data.address = range;
  io.data.length_bytes = sizeof range;
  engine.start();
  return run_trial(engine, channel, io) != core::Status(NVME_SC_INVALID_OPCODE).do_not_retry();
}

}  // namespace nvmf::backend
