// Transfers of one page each, starting on its boundary: the smallest that the data path relies on. Once they are known
// to be right in both directions, the proof checks all other transfers with them, one direction at a time.
#pragma once

#include <cstdint>
#include <string>

#include "p2p/copy_engine.h"

namespace nvmf::p2p {

class PageCopy {
 public:
  PageCopy(CopyEngine& engine, uint32_t path_mtu) : engine_(engine), path_mtu_(path_mtu) {}

  uint32_t path_mtu() const { return path_mtu_; }
  // Moves whole pages, one per transfer; all arguments are multiples of the page. Empty, or the engine's error.
  std::string put(uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes);
  std::string get(uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes);

 private:
  std::string move(Direction direction, uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes);

  CopyEngine& engine_;
  uint32_t path_mtu_;
};

}  // namespace nvmf::p2p
