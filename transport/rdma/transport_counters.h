// The transport's counters of connections, since the start. Control thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "target/nvme/rdma_cm.h"

namespace nvmf::rdma {

// Why a host was disconnected that does not take its answers: by the bounds of core::limits that have these names.
enum class Stall : uint8_t {
  Stalled,         // it took none
  Slow,            // it left one for too long
  StalledWhenDry,  // the same, while other hosts waited for the buffers that it held
  SlowWhenDry,
};
inline constexpr size_t kStalls = 4;

constexpr const char* name_of(Stall cause) {
  switch (cause) {
    case Stall::Stalled:
      return "stalled";
    case Stall::Slow:
      return "slow";
    case Stall::StalledWhenDry:
      return "stalled_when_dry";
    case Stall::SlowWhenDry:
      return "slow_when_dry";
  }
  return "?";
}

struct TransportCounters {
  uint64_t accepted = 0;                                   // queues
  uint64_t failed = 0;                                     // connections that ended with an error of their queue pair
  std::array<uint64_t, kStalls> stalled{};                 // of these: whose host did not take its answers
  uint64_t unflushed = 0;                                  // commands that ended without their RNIC
  std::array<uint64_t, nvme::kRdmaCmStatuses> rejected{};  // by nvme::RdmaCmStatus
};

}  // namespace nvmf::rdma
