#include "transport/rdma/handshake.h"

#include <algorithm>
#include <cstring>

#include "target/nvme/fabrics.h"

namespace nvmf::rdma {
namespace {

using nvme::RdmaCmStatus;

Handshake refuse(RdmaCmStatus status, std::string fault) {
  Handshake refused;
  refused.status = status;
  refused.fault = std::move(fault);
  return refused;
}

// `remedy`: what to raise here, or to lower on the host.
std::string above(const char* field, unsigned value, unsigned limit, const std::string& remedy) {
  return std::string(field) + " " + std::to_string(value) + " is above the limit " + std::to_string(limit) + "; " +
         remedy;
}

}  // namespace

Handshake negotiate(std::span<const std::byte> private_data, uint8_t remote_read_depth, const HandshakeLimits& limits) {
  nvme::RdmaCmRequest request;
  if (private_data.size() < sizeof request)
    return refuse(RdmaCmStatus::InvalidPrivateDataLength,
                  "the host's private data has " + std::to_string(private_data.size()) + " bytes, 32 are needed");
  std::memcpy(&request, private_data.data(), sizeof request);

  if (request.recfmt != 0)
    return refuse(RdmaCmStatus::InvalidRecfmt, "the host's private data format " + std::to_string(request.recfmt) +
                                                   " is unknown, only 0 is supported");
  if (request.qid > limits.max_io_queues)
    return refuse(RdmaCmStatus::InvalidQid,
                  above("queue id", request.qid, limits.max_io_queues,
                        "raise \"rdma\".\"max_io_queues\", or connect the host with fewer (nvme connect -i)"));
  const uint16_t max_depth = request.qid == 0 ? limits.admin_queue_depth : limits.max_queue_depth;
  if (request.hsqsize_z == 0)
    return refuse(RdmaCmStatus::InvalidHsqsize, "the host's send queue has only one entry; it needs at least 2");
  if (request.hsqsize_z >= max_depth)
    return refuse(
        RdmaCmStatus::InvalidHsqsize,
        above("send queue size", request.hsqsize_z + 1u, max_depth,
              request.qid == 0
                  ? "admin queues cannot have more entries"
                  : "raise \"rdma\".\"max_queue_depth\", or connect the host with a smaller queue (nvme connect -Q)"));
  if (request.hrqsize == 0)
    return refuse(RdmaCmStatus::InvalidHrqsize, "the host has no receive queue entries for responses");
  // A target has to RDMA READ at least the data of Connect.
  if (remote_read_depth == 0) return refuse(RdmaCmStatus::InvalidIrd, "the host accepts no RDMA READ (IRD 0)");
  if (limits.max_read_depth == 0) return refuse(RdmaCmStatus::InvalidOrd, "this RNIC cannot issue RDMA READs (ORD 0)");

  Handshake accepted;
  accepted.qid = request.qid;
  const bool names_controller = request.cntlid != 0 && request.cntlid != nvme::kCntlidDynamic;
  if (request.qid != 0 && names_controller) accepted.cntlid = request.cntlid;
  accepted.depth = static_cast<uint16_t>(request.hsqsize_z + 1);
  accepted.read_depth = std::min(remote_read_depth, limits.max_read_depth);
  return accepted;
}

}  // namespace nvmf::rdma
