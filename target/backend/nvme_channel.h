// NVMe passthrough: each command goes to the SSD as it is, through io_uring. On the data path.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "target/backend/engine.h"
#include "target/core/datapath/io.h"
#include "target/core/datapath/zones.h"

struct nvme_uring_cmd;

namespace nvmf::backend {

struct NvmeGeometry {
  uint32_t nsid = 1;
  uint8_t lba_shift = 9;
  bool flush_needed = true;  // false: no volatile write cache, Flush has nothing to do
  // After which the kernel aborts a command that changes the medium (quiesce_time.h); 0: after its own time-out, as it
  // does with every other one.
  uint32_t change_timeout_ms = 0;
  // The most that one command may carry; longer ones are split. Multiples of 4 KiB.
  uint32_t max_contiguous_bytes = 128u << 10;  // of memory that is contiguous for the device: a CMB
  uint32_t max_scattered_bytes = 128u << 10;   // of any other, where every page may be a segment of its own
  uint32_t max_write_zeroes_blocks = 65536;
  uint32_t max_verify_blocks = 65536;
  uint32_t max_write_uncorrectable_blocks = 65536;
  uint32_t max_ranges = 256;  // of one Dataset Management command
  // Of a CMB; longer transfers go through the block layer. See passthrough_limits.h for these two.
  uint32_t max_cmb_passthrough_bytes = UINT32_MAX;
  bool takes_registered_memory = true;
  // ZSZE; 0: the namespace is not zoned. In a zone, long commands are split into commands that run one after the other,
  // each at the write pointer.
  uint64_t zone_blocks = 0;
};

class NvmeChannel final : public core::IoChannel, private Unfinished {
 public:
  // `block`: the same namespace as a block device; null when everything may be passed through.
  NvmeChannel(UringEngine& engine, int fd, const NvmeGeometry& geometry, std::unique_ptr<core::IoChannel> block = {})
      : engine_(engine), file_(engine.register_file(fd)), geometry_(geometry), block_(std::move(block)) {}

  void submit(core::Io& io) override;
  void withdraw_rest(core::Io& io) override;

 private:
  void transfer(core::Io& io, uint8_t opcode);
  void flush(core::Io& io);
  void without_data(core::Io& io, uint8_t opcode, uint32_t most);
  void deallocate(core::Io& io);
  void copy(core::Io& io);
  bool is_too_long_for_cmb(const core::Io& io) const;
  uint32_t most_bytes(const core::Io& io) const;
  uint32_t most_blocks_in_order(const core::Io& io) const;
  void write_in_order(core::Io& io);
  void write_next(core::Io& io);
  void append(core::Io& io);
  void manage_zones(core::Io& io, uint8_t opcode);
  void next_step(core::Io& io, uint64_t result) override;
  void write_rest(core::Io& io, uint32_t written_bytes) override;
  void step(core::Io& io, const nvme_uring_cmd& command);
  void whole(core::Io& io, const nvme_uring_cmd& command);
  void part(core::Io& io, const nvme_uring_cmd& command);
  bool queue(const core::Io& io, const nvme_uring_cmd& command, uint64_t user_data);

  UringEngine& engine_;
  FileReference file_;
  NvmeGeometry geometry_;
  std::unique_ptr<core::IoChannel> block_;
};

}  // namespace nvmf::backend
