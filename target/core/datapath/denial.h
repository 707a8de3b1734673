// What a host may not do with a namespace at present, and why: the result of reservations, asymmetric access, masking
// and write protection. The control thread writes it, the queue's thread reads one byte per command.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/status.h"

namespace nvmf::core {

// Bits, in order of precedence: the first one that is set gives the command's status.
enum Denial : uint8_t {
  kHidden = 1 << 0,           // masked, or of an I/O command set that the host does not use: it does not exist
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
