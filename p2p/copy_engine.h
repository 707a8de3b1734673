// The seam of the self-test: an engine that moves bytes between a CMB and DRAM. In production an RNIC that is connected
// to itself (rdma_loop.h); in unit tests a fake that makes mistakes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nvmf::p2p {

// Named after what the remote host does.
enum class Direction : uint8_t {
  HostReads,   // the RNIC reads the CMB: RDMA WRITE from the CMB to DRAM
  HostWrites,  // the RNIC writes the CMB: RDMA READ from DRAM into the CMB
};

struct Transfer {
  Direction direction = Direction::HostReads;
  uint32_t path_mtu = 0;     // bytes
  uint64_t cmb_offset = 0;   // bytes, from the start of the range under test
  uint64_t dram_offset = 0;  // bytes, from the start of dram()
  uint32_t length = 0;       // bytes
};

// One thread. copy() returns when no part of the transfer is outstanding, within a bounded time.
class CopyEngine {
 public:
  virtual ~CopyEngine() = default;

  // The CPU may look at this side.
  virtual std::span<std::byte> dram() = 0;
  // Length of the range of the CMB that may be overwritten; whole pages. The CPU never looks there.
  virtual uint64_t cmb_bytes() const = 0;
  // Empty when the engine reports success, which proves nothing; otherwise its error.
  virtual std::string copy(const Transfer& transfer) = 0;
};

}  // namespace nvmf::p2p
