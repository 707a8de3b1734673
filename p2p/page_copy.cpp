#include "p2p/page_copy.h"

#include "target/core/datapath/limits.h"

namespace nvmf::p2p {

using core::limits::kPageBytes;

std::string PageCopy::put(uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes) {
  return move(Direction::HostWrites, cmb_offset, dram_offset, length_bytes);
}

std::string PageCopy::get(uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes) {
  return move(Direction::HostReads, cmb_offset, dram_offset, length_bytes);
}

std::string PageCopy::move(Direction direction, uint64_t cmb_offset, uint64_t dram_offset, uint64_t length_bytes) {
  for (uint64_t done = 0; done < length_bytes; done += kPageBytes) {
    std::string error = engine_.copy({direction, path_mtu_, cmb_offset + done, dram_offset + done, kPageBytes});
    if (!error.empty()) return error;
  }
  return {};
}

}  // namespace nvmf::p2p
