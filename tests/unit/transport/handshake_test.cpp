// The connection request: RDMA Transport 1.0, section 3.2. Host sends private data, target accepts or rejects it.
#include "transport/rdma/handshake.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

namespace {

using nvmf::nvme::RdmaCmRequest;
using nvmf::nvme::RdmaCmStatus;
using nvmf::rdma::Handshake;
using nvmf::rdma::HandshakeLimits;

constexpr HandshakeLimits kLimits{
    .max_io_queues = 8, .admin_queue_depth = 32, .max_queue_depth = 128, .max_read_depth = 16};

RdmaCmRequest good_request(uint16_t qid) {
  RdmaCmRequest request{};
  request.qid = qid;
  request.hrqsize = 32;
  request.hsqsize_z = 31;
  return request;
}

Handshake send(const RdmaCmRequest& request, uint8_t host_ird = 16, const HandshakeLimits& limits = kLimits) {
  return nvmf::rdma::negotiate(std::as_bytes(std::span(&request, 1)), host_ird, limits);
}

}  // namespace

TEST_CASE("host asks for an admin queue of 32 entries, target accepts it") {
  const Handshake answer = send(good_request(0));
  CHECK(answer.status == RdmaCmStatus::Ok);
  CHECK(answer.qid == 0);
  CHECK(answer.depth == 32);
  CHECK(answer.read_depth == 16);
}

TEST_CASE("private data may be padded by the connection manager") {
  std::vector<std::byte> padded(56);
  const RdmaCmRequest request = good_request(3);
  std::memcpy(padded.data(), &request, sizeof request);
  const Handshake answer = nvmf::rdma::negotiate(padded, 4, kLimits);
  CHECK(answer.status == RdmaCmStatus::Ok);
  CHECK(answer.qid == 3);
  CHECK(answer.read_depth == 4);
}

TEST_CASE("private data of every length below 32 bytes is refused with status 1") {
  const std::vector<std::byte> bytes(31);
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const Handshake answer = nvmf::rdma::negotiate(std::span(bytes).first(length), 16, kLimits);
    CHECK(answer.status == RdmaCmStatus::InvalidPrivateDataLength);
    CHECK_FALSE(answer.fault.empty());
  }
}

TEST_CASE("each faulty field has its own status") {
  struct Fault {
    const char* what;
    void (*spoil)(RdmaCmRequest&);
    RdmaCmStatus status;
  };
  const Fault faults[] = {
      {"format 1", [](RdmaCmRequest& r) { r.recfmt = 1; }, RdmaCmStatus::InvalidRecfmt},
      {"queue id above the limit", [](RdmaCmRequest& r) { r.qid = 9; }, RdmaCmStatus::InvalidQid},
      {"queue id FFFFh", [](RdmaCmRequest& r) { r.qid = 0xffff; }, RdmaCmStatus::InvalidQid},
      {"send queue of one entry", [](RdmaCmRequest& r) { r.hsqsize_z = 0; }, RdmaCmStatus::InvalidHsqsize},
      {"send queue beyond the limit", [](RdmaCmRequest& r) { r.hsqsize_z = 128; }, RdmaCmStatus::InvalidHsqsize},
      {"send queue of 65,536", [](RdmaCmRequest& r) { r.hsqsize_z = 0xffff; }, RdmaCmStatus::InvalidHsqsize},
      {"no receives", [](RdmaCmRequest& r) { r.hrqsize = 0; }, RdmaCmStatus::InvalidHrqsize},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.what);
    RdmaCmRequest request = good_request(1);
    fault.spoil(request);
    const Handshake answer = send(request);
    CHECK(answer.status == fault.status);
    CHECK_FALSE(answer.fault.empty());
  }
}

TEST_CASE("an admin queue has its own depth limit") {
  RdmaCmRequest request = good_request(0);
  request.hsqsize_z = 32;
  CHECK(send(request).status == RdmaCmStatus::InvalidHsqsize);
  request.qid = 1;
  CHECK(send(request).status == RdmaCmStatus::Ok);
}

TEST_CASE("the host of an I/O queue names its controller, older hosts write 0 or FFFFh") {
  RdmaCmRequest request = good_request(1);
  request.cntlid = 0x123;
  CHECK(send(request).cntlid == 0x123);
  request.cntlid = 0;
  CHECK_FALSE(send(request).cntlid.has_value());
  request.cntlid = 0xffff;
  CHECK_FALSE(send(request).cntlid.has_value());
  request.qid = 0;
  request.cntlid = 0x123;
  CHECK_FALSE(send(request).cntlid.has_value());
}

TEST_CASE("without RDMA READs in either direction there is no transfer: status 7 and 8") {
  CHECK(send(good_request(0), 0).status == RdmaCmStatus::InvalidIrd);
  HandshakeLimits no_reads = kLimits;
  no_reads.max_read_depth = 0;
  CHECK(send(good_request(0), 16, no_reads).status == RdmaCmStatus::InvalidOrd);
}

TEST_CASE("the read depth is the smaller of both sides'") {
  CHECK(send(good_request(1), 2).read_depth == 2);
  CHECK(send(good_request(1), 255).read_depth == 16);
}
