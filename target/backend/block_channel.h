// Block devices and files: io_uring's reads, writes, fsync, fallocate and discards. On the data path.
#pragma once

#include <cstdint>

#include "target/backend/engine.h"
#include "target/core/datapath/io.h"

namespace nvmf::backend {

// How a Deallocate is carried out.
enum class Deallocate : uint8_t {
  None,     // not supported
  Punch,    // fallocate(2) with BlockGeometry::punch_mode
  Discard,  // of a block device that cannot unmap by writing zeroes: it may read as anything afterwards
};

struct BlockGeometry {
  uint8_t lba_shift = 9;
  int zero_mode = 0;   // of fallocate(2), for Write Zeroes; 0: not supported
  int punch_mode = 0;  // the same, for Write Zeroes that may deallocate; 0: zero_mode does
  Deallocate deallocate = Deallocate::None;
};

class BlockChannel final : public core::IoChannel, private Unfinished {
 public:
  BlockChannel(UringEngine& engine, int fd, const BlockGeometry& geometry)
      : engine_(engine), file_(engine.register_file(fd)), geometry_(geometry) {}

  void submit(core::Io& io) override;
  void withdraw_rest(core::Io& io) override;

 private:
  void transfer(core::Io& io, int opcode);
  void write_rest(core::Io& io, uint32_t written_bytes) override;
  void next_step(core::Io& io, uint64_t result) override;
  void read_from_medium(core::Io& io, int opcode);
  void flush(core::Io& io);
  void write_zeroes(core::Io& io);
  void deallocate(core::Io& io);
  uint32_t blocks_of_step(uint64_t slba) const;
  io_uring_sqe* prepare_transfer(const core::Io& io, int opcode);
  void queue_sync(uint8_t link, uint64_t user_data);
  void queue_fallocate(int mode, uint64_t slba, uint64_t blocks, uint8_t link, uint64_t user_data);
  void queue_discard(uint64_t slba, uint64_t blocks, uint64_t user_data);

  UringEngine& engine_;
  FileReference file_;
  BlockGeometry geometry_;
};

}  // namespace nvmf::backend
