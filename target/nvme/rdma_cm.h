// Private data of RDMA-CM requests, accepts and rejects: NVMe RDMA Transport 1.0, section 3.2.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmf::nvme {

struct RdmaCmRequest {
  uint16_t recfmt;
  uint16_t qid;
  uint16_t hrqsize;    // host receive queue size, entries (1-based)
  uint16_t hsqsize_z;  // host send queue size, 0-based
  uint16_t cntlid;
  uint8_t reserved10[22];
};
static_assert(sizeof(RdmaCmRequest) == 32);

struct RdmaCmAccept {
  uint16_t recfmt;
  uint16_t crqsize;  // controller receive queue size, entries
  uint8_t reserved4[28];
};
static_assert(sizeof(RdmaCmAccept) == 32);

struct RdmaCmReject {
  uint16_t recfmt;
  uint16_t sts;  // RdmaCmStatus
};
static_assert(sizeof(RdmaCmReject) == 4);

// Status of a rejection, Figure 12.
enum class RdmaCmStatus : uint16_t {
  Ok = 0,  // not on the wire: the request may be accepted
  InvalidPrivateDataLength = 1,
  InvalidRecfmt = 2,
  InvalidQid = 3,
  InvalidHsqsize = 4,
  InvalidHrqsize = 5,
  NoResources = 6,
  InvalidIrd = 7,
  InvalidOrd = 8,
  InvalidCntlid = 9,
};
inline constexpr size_t kRdmaCmStatuses = 10;
static_assert(kRdmaCmStatuses == static_cast<size_t>(RdmaCmStatus::InvalidCntlid) + 1);

}  // namespace nvmf::nvme
