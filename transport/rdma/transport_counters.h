// The transport's counters of connections, since the start. Control thread.
#pragma once

#include <array>
#include <cstdint>

#include "target/nvme/rdma_cm.h"

namespace nvmf::rdma {

struct TransportCounters {
  uint64_t accepted = 0;                                   // queues
  uint64_t failed = 0;                                     // connections that ended with an error of their queue pair
  std::array<uint64_t, nvme::kRdmaCmStatuses> rejected{};  // by nvme::RdmaCmStatus
};

}  // namespace nvmf::rdma
