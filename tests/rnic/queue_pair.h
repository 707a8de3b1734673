// RC queue pairs: their states, send queue and receive side. queue_pair.cpp has states and posting, requester.cpp what
// is sent, responder.cpp what the other side's requests do here.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/memory.h"
#include "tests/rnic/shared_receive_queue.h"

namespace nvmf::rnic {

using Bytes = std::vector<std::byte>;

// A posted send work request.
struct Send {
  uint64_t number = 0;  // 1, 2, ... of its queue pair
  uint64_t wr_id = 0;
  ibv_wr_opcode opcode = IBV_WR_SEND;
  bool signaled = false;
  std::vector<ibv_sge> pieces;
  bool is_inline = false;
  Bytes inline_data;
  uint64_t length_bytes = 0;
  uint64_t remote_address = 0;
  uint32_t remote_key = 0;   // of RDMA; or what a SEND invalidates
  uint64_t moved_bytes = 0;  // so far
  bool arrived = false;      // at the other side
  bool done = false;         // completes when all before it have
  ibv_wc_status status = IBV_WC_SUCCESS;
};

// What the responder says to a request.
enum class Answer : uint8_t { Ack, ReceiverNotReady, InvalidRequest, AccessError, OperationError, Silence };

struct QueuePair : ibv_qp {
  QueuePair(ProtectionDomain& domain_of, const ibv_qp_init_attr& wanted);
  ~QueuePair();

  // As the verbs: 0 or an errno value.
  int modify(const ibv_qp_attr& changes, int mask);
  int post(const ibv_send_wr& work);
  int post(const ibv_recv_wr& work);
  // A completion that frees send queue entries up to that number has been polled.
  void on_polled(uint64_t sent);

  // As if the device had met an error: the error state, and IBV_EVENT_QP_FATAL.
  void fail();

  uint32_t free_send_entries() const { return initial.cap.max_send_wr - (posted_ - freed_); }
  uint32_t used_send_entries() const { return static_cast<uint32_t>(posted_ - freed_); }
  size_t unfinished_sends() const { return sends_.size(); }
  // Whether the queue pair at the other end would take what this one sends.
  bool is_connected() const { return now == IBV_QPS_RTS && peer() != nullptr; }
  // RDMA READs that have been posted, and have not ended.
  unsigned reads_posted() const;

  ProtectionDomain& domain;
  Device& device;
  ibv_qp_init_attr initial;
  ibv_qp_attr attributes{};          // as modified
  ibv_qp_state now = IBV_QPS_RESET;  // the device's view; ibv_qp::state is what the program has set

 private:
  int check_transition(ibv_qp_state next, int mask) const;
  void enter_error(bool by_device);
  void reset();
  template <class Happens>
  void later(uint64_t delay_ns, Happens happens);
  uint64_t delay_ns(uint64_t typical_ns) const { return device.schedule().delay_ns(typical_ns); }
  uint32_t path_mtu_bytes() const { return 128u << attributes.path_mtu; }
  CompletionQueue& send_queue() const { return *static_cast<CompletionQueue*>(send_cq); }
  CompletionQueue& receive_queue() const { return *static_cast<CompletionQueue*>(recv_cq); }
  SharedReceiveQueue* shared() const { return static_cast<SharedReceiveQueue*>(srq); }

  // The requester (requester.cpp).
  QueuePair* peer() const;
  QueuePair* read_source() const;
  void transmit();
  void arrive();
  // How a request goes on: its answer; none: more of it is to come, or it has ended here.
  std::optional<Answer> deliver(Send& send, QueuePair& to);
  std::optional<Answer> deliver_message(Send& send, QueuePair& to, const Bytes& bytes, bool whole);
  std::optional<Answer> deliver_write(Send& send, QueuePair& to, const Bytes& bytes, bool whole);
  std::optional<Answer> begin_read(Send& send, QueuePair& to);
  void continue_read(uint64_t number);
  static bool lands(const Send& send, const ProtectionDomain& domain, const std::byte* from, uint64_t begin,
                    uint64_t end, int rights);
  bool gather(const Send& send, Bytes& bytes) const;
  void on_answer(Answer answer);
  void on_not_ready();
  void on_silence();
  void end(uint64_t number, ibv_wc_status status);
  Send* find(uint64_t number);
  void complete_front();
  void complete(const Send& send, ibv_wc_status status);
  void flush_sends();

  // The responder (responder.cpp).
  struct Message {
    Receive receive;
    uint64_t placed_bytes = 0;
  };
  bool answers() const { return (now == IBV_QPS_RTR || now == IBV_QPS_RTS || now == IBV_QPS_SQD) && device.has_link(); }
  Answer begin_message();
  Answer place(const std::byte* data, uint64_t bytes);
  Answer end_message(std::optional<uint32_t> invalidated_key);
  Answer refuse(ibv_wc_status own, Answer answer, ibv_event_type event);
  void complete_receive(const Receive& receive, ibv_wc_status status, uint64_t bytes,
                        std::optional<uint32_t> invalidated);
  void flush_receives();

  std::deque<Send> sends_;  // not completed
  size_t sent_ = 0;         // of them, that have arrived at the other side
  uint64_t posted_ = 0;
  uint64_t freed_ = 0;  // send queue entries, of those posted
  bool busy_ = false;   // the next one is on its way
  unsigned reads_outstanding_ = 0;
  unsigned reads_answering_ = 0;
  unsigned not_ready_ = 0;  // times in a row
  unsigned unanswered_ = 0;
  uint64_t ends_at_ns_ = 0;  // of the last one whose answer is on its way
  bool flushing_ = false;
  bool error_by_device_ = false;
  std::optional<Message> message_;  // half received
  std::deque<Receive> receives_;    // without a shared receive queue
  // Whose end voids what was scheduled in an earlier life of the queue pair.
  std::unique_ptr<Life> epoch_ = std::make_unique<Life>();
};

// Nothing happens any more on a device that has stopped.
template <class Happens>
void QueuePair::later(uint64_t delay_ns, Happens happens) {
  device.schedule().after(delay_ns, *epoch_, [this, happens = std::move(happens)] {
    if (!device.has_stopped()) happens();
  });
}

}  // namespace nvmf::rnic
