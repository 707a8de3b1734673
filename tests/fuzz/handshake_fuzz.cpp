// Private data of a connection request, as a host may send it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "transport/rdma/handshake.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const nvmf::rdma::HandshakeLimits limits{
      .max_io_queues = 64, .admin_queue_depth = 32, .max_queue_depth = 128, .max_read_depth = 16};
  const uint8_t host_ird = size == 0 ? 0 : data[0];
  const auto answer = nvmf::rdma::negotiate(std::as_bytes(std::span(data, size)), host_ird, limits);
  if (answer.status != nvmf::nvme::RdmaCmStatus::Ok) {
    if (answer.fault.empty()) std::abort();
    return 0;
  }
  const unsigned limit = answer.qid == 0 ? limits.admin_queue_depth : limits.max_queue_depth;
  if (answer.qid > limits.max_io_queues || answer.depth < 2 || answer.depth > limit || answer.read_depth == 0)
    std::abort();
  return 0;
}
