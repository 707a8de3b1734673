// The transfers that must be right for a proof of one direction at one path MTU, and the memory they need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "p2p/copy_engine.h"
#include "target/core/datapath/limits.h"

namespace nvmf::p2p {

inline constexpr uint32_t kPageBytes = core::limits::kPageBytes;

struct TransferCase {
  uint32_t offset_in_page = 0;  // where in its first CMB page it starts
  uint32_t length = 0;          // bytes
  uint32_t dram_skew = 0;       // bytes by which the DRAM side is off a page boundary
};

// Shortest first, so that failures show early. None is longer than `max_transfer_bytes`.
std::vector<TransferCase> page_start_cases(uint32_t max_transfer_bytes);
std::vector<TransferCase> any_offset_cases(uint32_t max_transfer_bytes);

// The memory of a case is a neighbourhood: a guard page, the pages of the transfer, a guard page.
inline constexpr uint32_t kGuardBytes = kPageBytes;
uint32_t neighbourhood_bytes(const TransferCase& transfer);
// Size of the neighbourhood of the longest case.
uint32_t neighbourhood_bytes(uint32_t max_transfer_bytes);

// "at path MTU 1024 a transfer of 7680 bytes from the CMB that starts 512 bytes into a page"
std::string describe(Direction direction, uint32_t path_mtu, const TransferCase& transfer);

}  // namespace nvmf::p2p
