#include "transport/rdma/remote_invalidate.h"

#include <algorithm>
#include <cstring>

namespace nvmf::rdma {
namespace {

struct Liar {
  uint32_t vendor_id;  // ibv_device_attr
  const char* name;
};

// Their user-space providers have no code for IBV_WR_SEND_WITH_INV, and post it all the same (rdma-core 65):
// bnxt_re_ibv_to_bnxt_wr_opcd() gives an invalid opcode; ibv_wr_opcode_to_pvrdma() is a cast, which makes it
// PVRDMA_WR_RDMA_READ_WITH_INV, and pvrdma_post_send() does not pass the key on.
constexpr Liar kKnownLiars[] = {
    {0x14e4, "Broadcom (bnxt_re)"},
    {0x15ad, "VMware (vmw_pvrdma)"},
};

// wr_id.
constexpr uint64_t kReceive = 1;
constexpr uint64_t kSend = 2;

// Of the target's own end: the other end had no part in it.
bool is_local_error(ibv_wc_status status) {
  return status == IBV_WC_LOC_QP_OP_ERR || status == IBV_WC_LOC_PROT_ERR || status == IBV_WC_LOC_LEN_ERR ||
         status == IBV_WC_LOC_EEC_OP_ERR || status == IBV_WC_GENERAL_ERR;
}

bool is_refused_by_peer(ibv_wc_status status) {
  return status == IBV_WC_REM_ACCESS_ERR || status == IBV_WC_REM_INV_REQ_ERR || status == IBV_WC_REM_OP_ERR;
}

}  // namespace

std::string known_liar(const ibv_device_attr& device) {
  for (const Liar& liar : kKnownLiars)
    if (liar.vendor_id == device.vendor_id)
      return std::string("devices of ") + liar.name + " claim to support SEND with invalidate, and fail it";
  return {};
}

RemoteInvalidateTrial::RemoteInvalidateTrial(ibv_pd* domain, uint8_t port)
    : region_(verbs::register_memory(domain, memory_.data(), memory_.size(), IBV_ACCESS_LOCAL_WRITE)),
      pair_(domain, verbs::address_of_port(domain->context, port), 256) {
  ibv_sge piece{reinterpret_cast<uintptr_t>(memory_.data()), 16, region_->lkey};
  ibv_recv_wr receive{.wr_id = kReceive, .next = nullptr, .sg_list = &piece, .num_sge = 1};
  ibv_recv_wr* not_received = nullptr;
  if (const int error = ibv_post_recv(pair_.far.get(), &receive, &not_received))
    throw verbs::VerbsError(error, "cannot post a receive on a queue pair that is connected to its own port");
  ibv_send_wr send{};
  send.wr_id = kSend;
  send.sg_list = &piece;
  send.num_sge = 1;
  send.opcode = IBV_WR_SEND_WITH_INV;
  send.send_flags = IBV_SEND_SIGNALED;
  send.invalidate_rkey = key();
  ibv_send_wr* refused = nullptr;
  if (const int error = ibv_post_send(pair_.near.get(), &send, &refused))
    verdict_ = std::string("it refused to post a SEND with invalidate: ") + std::strerror(error);
}

// The low byte is the part of a key that its owner changes.
uint32_t RemoteInvalidateTrial::key() const { return region_->rkey ^ 0x5a; }

std::optional<std::string> RemoteInvalidateTrial::look() {
  ibv_wc completion{};
  while (!verdict_ && ibv_poll_cq(pair_.completions.get(), 1, &completion) == 1) verdict_ = judge(completion);
  return verdict_;
}

// The receive tells the most: whether the message was one that invalidates. Some devices report nothing else in time.
std::optional<std::string> RemoteInvalidateTrial::judge(const ibv_wc& completion) {
  const std::string status = std::string("\"") + ibv_wc_status_str(completion.status) + "\"";
  if (completion.wr_id == kReceive) {
    if (completion.status == IBV_WC_WR_FLUSH_ERR) return std::nullopt;  // the send's completion says why
    if (completion.status != IBV_WC_SUCCESS) return std::string();
    if ((completion.wc_flags & IBV_WC_WITH_INV) == 0) return "it sent a SEND with invalidate as a plain SEND";
    return completion.invalidated_rkey == key() ? "" : "it invalidated another key than the one that it was given";
  }
  if (is_refused_by_peer(completion.status)) return std::string();
  if (is_local_error(completion.status)) return "its SEND with invalidate ended with " + status;
  if (completion.status == IBV_WC_SUCCESS) return std::nullopt;  // the receive is still to come
  return "its SEND with invalidate did not arrive: " + status;
}

}  // namespace nvmf::rdma
