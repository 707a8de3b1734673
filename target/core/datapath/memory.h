// The memory seam: where the data of one command may be between the SSD and the RNIC, and who decides.
//
// transport/ registers memory and hands pools to the core; p2p/ finds controller memory buffers and proves which
// transfers of a pair of SSD and RNIC are right; the core chooses per command (choose_memory, memory_policy.cpp) and
// counts. Everything here is used by one thread, the reactor that owns the pool, unless stated otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::core {

class BufferPool;

enum class MemoryKind : uint8_t {
  Dram,
  Cmb,
  Namespace,  // the blocks of a namespace in memory themselves, of no pool; only for reads of hosts
};

// A piece of registered memory for one command. The CPU never dereferences `address` when `kind` is Cmb.
struct Buffer {
  std::byte* address = nullptr;
  uint32_t length_bytes = 0;
  uint32_t lkey = 0;         // of the RNIC that the pool is registered with
  int32_t fixed_index = -1;  // io_uring registered buffer that contains it, -1 when there is none
  MemoryKind kind = MemoryKind::Dram;
  uint16_t share = 0;          // of the pool, that it counts to: Queue::share
  BufferPool* pool = nullptr;  // the pool it returns to; null: not from a pool (in-capsule data, no data)
};

// The path of a command's data. Direct: out of the namespace's own memory.
enum class DataPath : uint8_t { Cmb, Dram, InCapsule, Direct };
inline constexpr size_t kDataPaths = 4;

// Why a command of a namespace with peer-to-peer on did not go through the CMB.
enum class Fallback : uint8_t {
  None,            // it went through the CMB
  Refused,         // the self-test of this (SSD, RNIC) pair proved no transfer in this direction
  PathMtu,         // not proved for this connection's path MTU: proved for larger ones only, or not tried yet
  Alignment,       // the host's descriptors split a page, and only transfers that start on a page were proved
  PoolDry,         // no CMB buffer was free, or the host's share was used up, and the policy is to spill
  TooLarge,        // longer than the largest CMB buffer, or than the device takes out of a CMB
  BelowThreshold,  // shorter than the namespace's p2p_min_bytes
  ProcessorNeeds,  // the target's CPU must read or write the data (Dataset Management ranges, for instance)
};
inline constexpr size_t kFallbacks = 8;
const char* name_of(DataPath path);
const char* name_of(Fallback reason);

// All blocks of a namespace in memory, registered with the RNIC. Null: they are not.
struct NamespaceMemory {
  std::byte* address = nullptr;
  uint32_t lkey = 0;
};

// The operator's choice for each namespace.
enum class P2pMode : uint8_t { Off, Prefer, Require };
enum class P2pWhenDry : uint8_t { Wait, Spill };

// The proof for one direction of one pair of SSD and RNIC: the smallest path MTU (bytes) from which on transfers are
// right. kNever: at no path MTU.
struct ProvenTransfers {
  static constexpr uint32_t kNever = UINT32_MAX;
  uint32_t any_offset_from_mtu = kNever;
  uint32_t page_start_from_mtu = kNever;  // <= any_offset_from_mtu: every transfer starts on a page boundary
};

struct P2pPolicy {
  P2pMode mode = P2pMode::Off;
  P2pWhenDry when_dry = P2pWhenDry::Spill;
  uint32_t min_bytes = 0;           // shorter transfers use DRAM
  uint32_t max_bytes = UINT32_MAX;  // longer ones, too
  uint32_t largest_tried_mtu = 0;   // bytes; at larger path MTUs nothing is proved
  ProvenTransfers host_reads;       // RNIC reads the CMB (RDMA WRITE to the host)
  ProvenTransfers host_writes;      // RNIC writes the CMB (RDMA READ from the host)
};

}  // namespace nvmf::core
