// What a host may not do with a namespace at the moment, and why: reservations, asymmetric access, masking and write
// protection all end here. The control thread decides and writes, the queue's thread reads one byte a command.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

// Bits, by falling precedence: of several the first is the command's status.
enum Denial : uint8_t {
  kHidden = 1 << 0,           // masked from this host: as if it did not exist
  kAnaInaccessible = 1 << 1,  // NVMe Base 2.0, section 8.1: of this controller's port
  kAnaPersistentLoss = 1 << 2,
  kAnaTransition = 1 << 3,
  kWriteProtected = 1 << 4,     // section 8.12
  kReservedFromReads = 1 << 5,  // another host's reservation, section 8.19
  kReservedFromWrites = 1 << 6,
};
using Denials = uint8_t;

inline constexpr Denials kDeniesAll = kHidden | kAnaInaccessible | kAnaPersistentLoss | kAnaTransition;
inline constexpr Denials kDeniesReads = kDeniesAll | kReservedFromReads;
inline constexpr Denials kDeniesFlush = kDeniesAll | kReservedFromWrites;
inline constexpr Denials kDeniesWrites = kDeniesFlush | kWriteProtected;

// By NSID - 1, of one queue.
using DenialTable = std::array<std::atomic<Denials>, limits::kMaxNamespaces>;

// The status of a command that any of these bits forbids.
Status denial_status(Denials denials);

}  // namespace nvmf::core
