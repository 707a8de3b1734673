// A disk in memory that takes its time: commands end in any order, some late. One channel for each reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "target/core/datapath/io.h"
#include "tests/rnic/fabric.h"
#include "tests/simulation/stepped_reactor.h"

namespace nvmf::simulation {

class ModelDisk {
 public:
  ModelDisk(rnic::Fabric& fabric, uint64_t block_count, uint8_t lba_shift)
      : fabric_(fabric), lba_shift_(lba_shift), blocks_(block_count << lba_shift) {}

  std::unique_ptr<core::IoChannel> open_channel(SteppedEngine& engine);

  uint64_t block_count() const { return blocks_.size() >> lba_shift_; }
  uint8_t lba_shift() const { return lba_shift_; }
  std::byte* block(uint64_t lba) { return blocks_.data() + (lba << lba_shift_); }
  size_t in_flight() const { return in_flight_; }

  // Of the SSD; empty: it is none. Before the target opens it.
  std::string pci_address{};
  // From now on.
  uint64_t typical_ns = 80'000;
  unsigned errors_percent = 0;
  // Takes commands and ends none, until it is false again.
  void hang(bool hangs);
  // Unplugged: commands fail, those that it has and those that come; until it is false again.
  void remove(bool removed);
  // Has more blocks, of zeroes.
  void grow(uint64_t blocks) { blocks_.resize(blocks << lba_shift_); }

 private:
  class Channel;

  // Its data has moved; the channel's engine is told.
  struct Command {
    core::Io* io;
    SteppedEngine* engine;
    core::Status status;
  };
  void submit(core::Io& io, SteppedEngine& engine);
  void carry_out(core::Io& io, SteppedEngine& engine);

  rnic::Fabric& fabric_;
  uint8_t lba_shift_;
  std::vector<std::byte> blocks_;
  size_t in_flight_ = 0;
  bool hangs_ = false;
  bool removed_ = false;
  std::vector<std::pair<core::Io*, SteppedEngine*>> hung_;
  rnic::Life life_;
};

}  // namespace nvmf::simulation
