// The connection request of a queue: NVMe RDMA Transport 1.0, section 3.2. Parses private data that a host wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "target/nvme/rdma_cm.h"

namespace nvmf::rdma {

struct HandshakeLimits {
  uint16_t max_io_queues;      // QID is at most this
  uint16_t admin_queue_depth;  // entries
  uint16_t max_queue_depth;    // entries
  uint8_t max_read_depth;      // RDMA READs the RNIC can have outstanding on a queue pair
};

struct Handshake {
  nvme::RdmaCmStatus status = nvme::RdmaCmStatus::Ok;
  std::string fault;  // why not Ok, for the log
  uint16_t qid = 0;
  std::optional<uint16_t> cntlid;  // of an I/O queue whose host names its controller: older hosts do not
  uint16_t depth = 0;              // entries of the submission queue
  uint8_t read_depth = 0;          // RDMA READs that may be outstanding, at least 1
};

// `remote_read_depth`: the RDMA READs that the host's side answers at a time (its IRD).
Handshake negotiate(std::span<const std::byte> private_data, uint8_t remote_read_depth, const HandshakeLimits& limits);

}  // namespace nvmf::rdma
