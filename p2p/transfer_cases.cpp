#include "p2p/transfer_cases.h"

#include <algorithm>

namespace nvmf::p2p {
namespace {

uint32_t round_up_to_pages(uint32_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

std::vector<TransferCase> no_longer_than(uint32_t max_transfer_bytes, std::vector<TransferCase> cases) {
  std::erase_if(cases, [&](const TransferCase& one) { return one.length > max_transfer_bytes; });
  return cases;
}

}  // namespace

std::vector<TransferCase> page_start_cases(uint32_t max_transfer_bytes) {
  return no_longer_than(max_transfer_bytes, {{0, 512, 0},
                                             {0, 1536, 64},
                                             {0, 4096, 0},
                                             {0, 7680, 512},
                                             {0, 69632, 8},
                                             {0, 131072, 0},
                                             {0, max_transfer_bytes, 512}});
}

std::vector<TransferCase> any_offset_cases(uint32_t max_transfer_bytes) {
  return no_longer_than(max_transfer_bytes, {{512, 512, 0},
                                             {64, 64, 0},
                                             {3, 1, 5},
                                             {2048, 2048, 0},
                                             {4095, 2, 0},
                                             {2048, 4096, 0},
                                             {3584, 7680, 512},
                                             {1, 4095, 1},
                                             {2049, 69632, 3},
                                             {512, 131072, 512},
                                             {64, max_transfer_bytes, 0}});
}

uint32_t neighbourhood_bytes(const TransferCase& transfer) {
  return kGuardBytes + round_up_to_pages(transfer.offset_in_page + transfer.length) + kGuardBytes;
}

uint32_t neighbourhood_bytes(uint32_t max_transfer_bytes) {
  return kGuardBytes + round_up_to_pages(kPageBytes - 1 + max_transfer_bytes) + kGuardBytes;
}

std::string describe(Direction direction, uint32_t path_mtu, const TransferCase& transfer) {
  return "at path MTU " + std::to_string(path_mtu) + " a transfer of " + std::to_string(transfer.length) + " bytes " +
         (direction == Direction::HostReads ? "from the CMB" : "into the CMB") + " that starts " +
         (transfer.offset_in_page == 0 ? std::string("on a page boundary")
                                       : std::to_string(transfer.offset_in_page) + " bytes into a page");
}

}  // namespace nvmf::p2p
