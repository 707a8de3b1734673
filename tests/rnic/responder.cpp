// What the other side's requests do to a queue pair.
#include <algorithm>
#include <cstring>

#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {

Answer QueuePair::begin_message() {
  std::optional<Receive> receive;
  if (shared() != nullptr) {
    receive = shared()->take();
  } else if (!receives_.empty()) {
    receive = std::move(receives_.front());
    receives_.pop_front();
  }
  if (!receive) return Answer::ReceiverNotReady;
  message_.emplace(Message{std::move(*receive)});
  if (now == IBV_QPS_RTR) domain.owner.raise(IBV_EVENT_COMM_EST, static_cast<ibv_qp*>(this));
  return Answer::Ack;
}

Answer QueuePair::place(const std::byte* data, uint64_t bytes) {
  uint64_t start = 0;  // of the piece, in the message
  const uint64_t end = message_->placed_bytes + bytes;
  for (const ibv_sge& piece : message_->receive.pieces) {
    const uint64_t first = std::max(message_->placed_bytes, start);
    const uint64_t last = std::min(end, start + piece.length);
    if (first < last) {
      std::byte* const to =
          resolve(domain, piece.lkey, piece.addr + (first - start), last - first, IBV_ACCESS_LOCAL_WRITE);
      if (to == nullptr) return refuse(IBV_WC_LOC_PROT_ERR, Answer::OperationError, IBV_EVENT_QP_FATAL);
      std::memcpy(to, data, last - first);
      data += last - first;
      message_->placed_bytes = last;
    }
    start += piece.length;
  }
  if (message_->placed_bytes < end) return refuse(IBV_WC_LOC_LEN_ERR, Answer::InvalidRequest, IBV_EVENT_QP_REQ_ERR);
  return Answer::Ack;
}

Answer QueuePair::end_message(std::optional<uint32_t> invalidated_key) {
  if (invalidated_key && device.profile().checks_invalidated_keys) {
    const auto found = device.regions.find(*invalidated_key);
    if (found == device.regions.end() || &found->second->domain != &domain || !found->second->invalidate())
      return refuse(IBV_WC_LOC_PROT_ERR, Answer::AccessError, IBV_EVENT_QP_ACCESS_ERR);
  }
  complete_receive(message_->receive, IBV_WC_SUCCESS, message_->placed_bytes, invalidated_key);
  message_.reset();
  return Answer::Ack;
}

// An error that the responder finds moves its queue pair to the error state, too.
Answer QueuePair::refuse(ibv_wc_status own, Answer answer, ibv_event_type event) {
  if (message_) complete_receive(message_->receive, own, 0, std::nullopt);
  message_.reset();
  domain.owner.raise(event, static_cast<ibv_qp*>(this));
  enter_error(true);
  return answer;
}

void QueuePair::complete_receive(const Receive& receive, ibv_wc_status status, uint64_t bytes,
                                 std::optional<uint32_t> invalidated) {
  Completion completion;
  completion.entry.wr_id = receive.wr_id;
  completion.entry.status = status;
  completion.entry.opcode = IBV_WC_RECV;
  completion.entry.byte_len = static_cast<uint32_t>(bytes);
  completion.entry.qp_num = qp_num;
  if (invalidated) {
    completion.entry.wc_flags = IBV_WC_WITH_INV;
    completion.entry.invalidated_rkey = *invalidated;
  }
  completion.queue_pair = this;
  completion.receives = shared();
  receive_queue().add(completion);
}

// In the error state. An entry of a shared receive queue is only concerned when a message had begun to use it.
void QueuePair::flush_receives() {
  if (message_ && shared() != nullptr && !device.profile().reports_half_received)
    shared()->on_flushed_silently();
  else if (message_)
    complete_receive(message_->receive, IBV_WC_WR_FLUSH_ERR, 0, std::nullopt);
  message_.reset();
  for (const Receive& receive : receives_) complete_receive(receive, IBV_WC_WR_FLUSH_ERR, 0, std::nullopt);
  receives_.clear();
  if (shared() != nullptr && device.profile().reports_last_wqe)
    domain.owner.raise(IBV_EVENT_QP_LAST_WQE_REACHED, static_cast<ibv_qp*>(this));
}

}  // namespace nvmf::rnic
