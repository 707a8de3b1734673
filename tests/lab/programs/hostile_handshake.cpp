// Connection requests with private data that breaks NVMe RDMA Transport 1.0, section 3.2.
#include <functional>
#include <vector>

#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using nvme::RdmaCmRequest;
using nvme::RdmaCmStatus;

struct Request {
  const char* what;
  RdmaCmStatus expected;
  std::function<void(RdmaCmRequest&)> change;
  size_t length_bytes = sizeof(RdmaCmRequest);
  uint8_t responder_resources = 16;
};

const std::vector<Request>& requests() {
  static const std::vector<Request> all = {
      {"a well-formed admin queue", RdmaCmStatus::Ok, [](RdmaCmRequest&) {}},
      // On InfiniBand and RoCE the wire pads private data with zeroes, so none at all is a queue without entries.
      {"no private data", RdmaCmStatus::InvalidHsqsize, [](RdmaCmRequest&) {}, 0},
      {"half of the private data", RdmaCmStatus::Ok, [](RdmaCmRequest&) {}, sizeof(RdmaCmRequest) / 2},
      {"record format 1", RdmaCmStatus::InvalidRecfmt, [](RdmaCmRequest& r) { r.recfmt = 1; }},
      {"record format FFFFh", RdmaCmStatus::InvalidRecfmt, [](RdmaCmRequest& r) { r.recfmt = 0xffff; }},
      {"queue id FFFFh", RdmaCmStatus::InvalidQid, [](RdmaCmRequest& r) { r.qid = 0xffff; }},
      {"admin send queue of one entry", RdmaCmStatus::InvalidHsqsize, [](RdmaCmRequest& r) { r.hsqsize_z = 0; }},
      {"I/O send queue of one entry", RdmaCmStatus::InvalidHsqsize,
       [](RdmaCmRequest& r) { r.qid = 1, r.hsqsize_z = 0; }},
      {"admin send queue of 65,536 entries", RdmaCmStatus::InvalidHsqsize,
       [](RdmaCmRequest& r) { r.hsqsize_z = 0xffff; }},
      {"I/O send queue of 65,536 entries", RdmaCmStatus::InvalidHsqsize,
       [](RdmaCmRequest& r) { r.qid = 1, r.hsqsize_z = 0xffff; }},
      {"receive queue of no entries", RdmaCmStatus::InvalidHrqsize, [](RdmaCmRequest& r) { r.hrqsize = 0; }},
      {"I/O queue of a controller that is not there", RdmaCmStatus::InvalidCntlid,
       [](RdmaCmRequest& r) { r.qid = 1, r.cntlid = 0xff00; }},
      {"I/O queue of a host that names no controller (0)", RdmaCmStatus::Ok, [](RdmaCmRequest& r) { r.qid = 1; }},
      {"I/O queue of a host that names no controller (FFFFh)", RdmaCmStatus::Ok,
       [](RdmaCmRequest& r) { r.qid = 1, r.cntlid = 0xffff; }},
      {"no RDMA READ accepted", RdmaCmStatus::InvalidIrd, [](RdmaCmRequest&) {}, sizeof(RdmaCmRequest), 0},
  };
  return all;
}

std::string in_words(const HostQueue::Answer& answer) {
  if (answer.accepted) return "accepted";
  return answer.rejection ? "rejected with " + std::to_string(*answer.rejection) : answer.event + " without a status";
}

void ask_for(const Request& wanted, const Where& where, Expectations& expectations) {
  RdmaCmRequest request = cm_request(0);
  wanted.change(request);
  HostQueue queue(where.address);
  const auto answer = queue.connect(bytes_of(request).first(wanted.length_bytes), wanted.responder_resources);
  const bool good = wanted.expected == RdmaCmStatus::Ok ? answer.accepted
                                                        : answer.rejection == static_cast<uint16_t>(wanted.expected);
  expectations.check(good, wanted.what, in_words(answer));
}

}  // namespace

unsigned attack_handshake(const Where& where) {
  Expectations expectations;
  for (const Request& request : requests()) ask_for(request, where, expectations);
  const Session session = connect_all(where);
  expectations.check(session.io != nullptr, "a well-behaved host connects afterwards");
  return expectations.failed();
}

unsigned attack_without_nqn(const Where& where) {
  Expectations expectations;
  Where nameless = where;
  nameless.hostnqn.clear();
  Session session = connect_all(nameless);
  nvme::Sqe read = command(nvme_cmd_read, 1);
  read.sgl1 = keyed(*session.io, 512);
  const auto cqe = ask(*session.io, read);
  expectations.check(cqe && cqe->status == 0, "a host without NQN reads a block");
  return expectations.failed();
}

}  // namespace nvmf::lab
