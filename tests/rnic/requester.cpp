// What a queue pair sends: one request after the other arrives at the responder; answers come back later, in order; an
// RDMA READ's data comes later still, and the requests behind it do not wait for it.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {
namespace {

constexpr uint64_t kWireNs = 2'000;
constexpr uint64_t kAnswerNs = 2'000;
constexpr uint64_t kReadNs = 4'000;
constexpr uint64_t kFlushNs = 2'000;
constexpr unsigned kRetryForEver = 7;

// IBTA 9.7.5.2.8: the RNR NAK timer field, in microseconds.
constexpr std::array<uint32_t, 32> kNotReadyUs{655'360, 10,     20,     30,      40,      60,      80,      120,
                                               160,     240,    320,    480,     640,     960,     1'280,   1'920,
                                               2'560,   3'840,  5'120,  7'680,   10'240,  15'360,  20'480,  30'720,
                                               40'960,  61'440, 81'920, 122'880, 163'840, 245'760, 327'680, 491'520};

bool is_send(const Send& send) { return send.opcode == IBV_WR_SEND || send.opcode == IBV_WR_SEND_WITH_INV; }

ibv_wc_opcode completion_opcode(ibv_wr_opcode opcode) {
  if (opcode == IBV_WR_RDMA_WRITE) return IBV_WC_RDMA_WRITE;
  return opcode == IBV_WR_RDMA_READ ? IBV_WC_RDMA_READ : IBV_WC_SEND;
}

}  // namespace

// Null: nobody would answer.
QueuePair* QueuePair::peer() const {
  QueuePair* const to = device.has_link() ? device.fabric().find_queue_pair(attributes.dest_qp_num) : nullptr;
  return to != nullptr && to->attributes.dest_qp_num == qp_num && to->answers() ? to : nullptr;
}

// Who answers an RDMA READ whose request has arrived: a responder that has refused a later request still does.
QueuePair* QueuePair::read_source() const {
  QueuePair* const to = device.has_link() ? device.fabric().find_queue_pair(attributes.dest_qp_num) : nullptr;
  const bool refused_later = to != nullptr && to->now == IBV_QPS_ERR && to->error_by_device_ && to->device.has_link();
  return refused_later && to->attributes.dest_qp_num == qp_num ? to : peer();
}

void QueuePair::transmit() {
  if (busy_ || now != IBV_QPS_RTS || sent_ == sends_.size()) return;
  if (sends_[sent_].opcode == IBV_WR_RDMA_READ && reads_outstanding_ >= attributes.max_rd_atomic) return;
  busy_ = true;
  later(delay_ns(kWireNs), [this] { arrive(); });
}

void QueuePair::arrive() {
  Send& send = sends_[sent_];
  if (send.opcode == IBV_WR_SEND_WITH_INV && device.profile().remote_invalidate == RemoteInvalidate::Fails)
    return end(send.number, IBV_WC_LOC_QP_OP_ERR);
  QueuePair* const to = peer();
  if (to == nullptr) return on_silence();
  unanswered_ = 0;
  if (const std::optional<Answer> answer = deliver(send, *to)) on_answer(*answer);
}

std::optional<Answer> QueuePair::deliver(Send& send, QueuePair& to) {
  if (send.opcode == IBV_WR_RDMA_READ) return begin_read(send, to);
  Bytes bytes;
  const bool whole = gather(send, bytes);
  // What a packet holds entirely has left when the device finds the rest out of reach.
  if (!whole) bytes.resize(bytes.size() / path_mtu_bytes() * path_mtu_bytes());
  if (!whole && bytes.empty()) {
    end(send.number, IBV_WC_LOC_PROT_ERR);
    return std::nullopt;
  }
  return is_send(send) ? deliver_message(send, to, bytes, whole) : deliver_write(send, to, bytes, whole);
}

std::optional<Answer> QueuePair::deliver_message(Send& send, QueuePair& to, const Bytes& bytes, bool whole) {
  if (send.moved_bytes == 0) {
    if (const Answer answer = to.begin_message(); answer != Answer::Ack) return answer;
  } else if (!to.message_) {
    return Answer::Silence;
  }
  const bool first_of_several = send.moved_bytes == 0 && bytes.size() > path_mtu_bytes();
  const uint64_t until = first_of_several ? path_mtu_bytes() : bytes.size();
  const Answer answer = to.place(bytes.data() + send.moved_bytes, until - send.moved_bytes);
  if (answer != Answer::Ack) return answer;
  send.moved_bytes = until;
  if (!first_of_several && whole)
    return to.end_message(send.opcode == IBV_WR_SEND_WITH_INV ? std::optional(send.remote_key) : std::nullopt);
  if (first_of_several)
    later(delay_ns(kWireNs), [this] { arrive(); });
  else
    end(send.number, IBV_WC_LOC_PROT_ERR);
  return std::nullopt;
}

std::optional<Answer> QueuePair::deliver_write(Send& send, QueuePair& to, const Bytes& bytes, bool whole) {
  if ((to.attributes.qp_access_flags & IBV_ACCESS_REMOTE_WRITE) == 0)
    return to.refuse(IBV_WC_REM_INV_REQ_ERR, Answer::InvalidRequest, IBV_EVENT_QP_REQ_ERR);
  if (send.length_bytes == 0) return Answer::Ack;
  std::byte* const there = resolve_remote(to.domain, send.remote_key, send.remote_address, send.length_bytes, true);
  if (there == nullptr) return to.refuse(IBV_WC_REM_ACCESS_ERR, Answer::AccessError, IBV_EVENT_QP_ACCESS_ERR);
  const bool first_of_several = send.moved_bytes == 0 && bytes.size() > path_mtu_bytes();
  const uint64_t until =
      first_of_several ? bytes.size() / 2 / path_mtu_bytes() * path_mtu_bytes() + path_mtu_bytes() : bytes.size();
  const uint64_t end_of_part = std::min<uint64_t>(until, bytes.size());
  std::memcpy(there + send.moved_bytes, bytes.data() + send.moved_bytes, end_of_part - send.moved_bytes);
  send.moved_bytes = end_of_part;
  if (end_of_part == bytes.size() && whole) return Answer::Ack;
  if (end_of_part < bytes.size())
    later(delay_ns(kWireNs), [this] { arrive(); });
  else
    end(send.number, IBV_WC_LOC_PROT_ERR);
  return std::nullopt;
}

// The request arrives; its data comes back later.
std::optional<Answer> QueuePair::begin_read(Send& send, QueuePair& to) {
  if (to.reads_answering_ >= to.attributes.max_dest_rd_atomic ||
      (to.attributes.qp_access_flags & IBV_ACCESS_REMOTE_READ) == 0)
    return to.refuse(IBV_WC_REM_INV_REQ_ERR, Answer::InvalidRequest, IBV_EVENT_QP_REQ_ERR);
  if (send.length_bytes != 0 &&
      resolve_remote(to.domain, send.remote_key, send.remote_address, send.length_bytes, false) == nullptr)
    return to.refuse(IBV_WC_REM_ACCESS_ERR, Answer::AccessError, IBV_EVENT_QP_ACCESS_ERR);
  ++to.reads_answering_;
  ++reads_outstanding_;
  ++sent_;
  busy_ = false;
  send.arrived = true;
  later(delay_ns(kReadNs), [this, number = send.number] { continue_read(number); });
  transmit();
  return std::nullopt;
}

// A part of an RDMA READ's data, of which there are two when it is longer than a packet.
void QueuePair::continue_read(uint64_t number) {
  Send& send = *find(number);
  QueuePair* const to = read_source();
  const auto finish = [&](ibv_wc_status status) {
    --reads_outstanding_;
    if (to != nullptr) --to->reads_answering_;
    end(number, status);
    transmit();
  };
  if (to == nullptr) return finish(IBV_WC_RETRY_EXC_ERR);
  if (send.length_bytes == 0) return finish(IBV_WC_SUCCESS);
  const std::byte* const from =
      resolve(to->domain, send.remote_key, send.remote_address, send.length_bytes, IBV_ACCESS_REMOTE_READ);
  if (from == nullptr) return finish(IBV_WC_REM_ACCESS_ERR);
  const bool first_of_several = send.moved_bytes == 0 && send.length_bytes > path_mtu_bytes();
  const uint64_t until = first_of_several ? path_mtu_bytes() : send.length_bytes;
  const int rights =
      IBV_ACCESS_LOCAL_WRITE | (device.profile().read_sink_needs_remote_write ? IBV_ACCESS_REMOTE_WRITE : 0);
  if (!lands(send, domain, from, send.moved_bytes, until, rights)) return finish(IBV_WC_LOC_PROT_ERR);
  send.moved_bytes = until;
  if (!first_of_several) return finish(IBV_WC_SUCCESS);
  later(delay_ns(kReadNs), [this, number] { continue_read(number); });
}

// Whether [begin, end) of the data has been written to the work request's pieces.
bool QueuePair::lands(const Send& send, const ProtectionDomain& domain, const std::byte* from, uint64_t begin,
                      uint64_t end, int rights) {
  uint64_t start = 0;  // of the piece
  for (const ibv_sge& piece : send.pieces) {
    const uint64_t first = std::max(begin, start);
    const uint64_t last = std::min(end, start + piece.length);
    if (first < last) {
      std::byte* const to = resolve(domain, piece.lkey, piece.addr + (first - start), last - first, rights);
      if (to == nullptr) return false;
      std::memcpy(to, from + first, last - first);
    }
    start += piece.length;
  }
  return true;
}

// False: a piece is out of reach; `bytes` has what lies before it.
bool QueuePair::gather(const Send& send, Bytes& bytes) const {
  if (send.is_inline) {
    bytes = send.inline_data;
    return true;
  }
  bytes.reserve(send.length_bytes);
  for (const ibv_sge& piece : send.pieces) {
    const std::byte* const from = resolve(domain, piece.lkey, piece.addr, piece.length, 0);
    if (from == nullptr && piece.length != 0) return false;
    bytes.insert(bytes.end(), from, from + piece.length);
  }
  return true;
}

void QueuePair::on_answer(Answer answer) {
  Send& send = sends_[sent_];
  switch (answer) {
    case Answer::Ack:
      not_ready_ = 0;
      ++sent_;
      busy_ = false;
      send.arrived = true;
      end(send.number, IBV_WC_SUCCESS);
      return transmit();
    case Answer::ReceiverNotReady:
      return on_not_ready();
    case Answer::Silence:
      return on_silence();
    case Answer::InvalidRequest:
      return end(send.number, IBV_WC_REM_INV_REQ_ERR);
    case Answer::AccessError:
      return end(send.number, IBV_WC_REM_ACCESS_ERR);
    case Answer::OperationError:
      return end(send.number, IBV_WC_REM_OP_ERR);
  }
}

void QueuePair::on_not_ready() {
  Send& send = sends_[sent_];
  if (attributes.rnr_retry != kRetryForEver && not_ready_ >= attributes.rnr_retry)
    return end(send.number, IBV_WC_RNR_RETRY_EXC_ERR);
  ++not_ready_;
  const uint64_t wait_ns = uint64_t{kNotReadyUs[peer()->attributes.min_rnr_timer & 31]} * 1000;
  later(wait_ns, [this] { arrive(); });
}

void QueuePair::on_silence() {
  Send& send = sends_[sent_];
  if (unanswered_ > attributes.retry_cnt) return end(send.number, IBV_WC_RETRY_EXC_ERR);
  ++unanswered_;
  if (attributes.timeout == 0) return;  // waits for ever
  later(uint64_t{4096} << attributes.timeout, [this] { arrive(); });
}

// The answer is on its way back.
void QueuePair::end(uint64_t number, ibv_wc_status status) {
  Schedule& schedule = device.schedule();
  ends_at_ns_ = std::max(ends_at_ns_, schedule.now_ns() + delay_ns(kAnswerNs));
  later(ends_at_ns_ - schedule.now_ns(), [this, number, status] {
    Send& send = *find(number);
    send.done = true;
    send.status = status;
    complete_front();
  });
}

Send* QueuePair::find(uint64_t number) { return &sends_[number - sends_.front().number]; }

void QueuePair::complete_front() {
  while (!sends_.empty() && sends_.front().done) {
    const Send send = std::move(sends_.front());
    sends_.pop_front();
    if (send.arrived) --sent_;
    complete(send, send.status);
    if (send.status != IBV_WC_SUCCESS) return enter_error(true);
  }
}

void QueuePair::complete(const Send& send, ibv_wc_status status) {
  if (!device.profile().poll_frees_send_entries) freed_ = std::max(freed_, send.number);
  if (status == IBV_WC_SUCCESS && !send.signaled) return;
  Completion completion;
  completion.entry.wr_id = send.wr_id;
  completion.entry.status = status;
  completion.entry.opcode = completion_opcode(send.opcode);
  completion.entry.byte_len = static_cast<uint32_t>(send.length_bytes);
  completion.entry.qp_num = qp_num;
  completion.queue_pair = this;
  completion.sent = send.number;
  send_queue().add(completion);
}

// Some at a time. Until its own flush completion is there, the data of an RDMA READ may still arrive.
void QueuePair::flush_sends() {
  flushing_ = false;
  if (device.loses_flushes()) return;
  Random& random = device.schedule().random();
  for (uint64_t left = 1 + random.below(8); left != 0 && !sends_.empty(); --left) {
    const Send send = std::move(sends_.front());
    sends_.pop_front();
    if (send.arrived && sent_ > 0) --sent_;
    QueuePair* const to = send.opcode == IBV_WR_RDMA_READ && send.arrived && random.chance(50) ? peer() : nullptr;
    if (to != nullptr && send.length_bytes != 0) {
      const std::byte* const from =
          resolve(to->domain, send.remote_key, send.remote_address, send.length_bytes, IBV_ACCESS_REMOTE_READ);
      if (from != nullptr) lands(send, domain, from, send.moved_bytes, send.length_bytes, IBV_ACCESS_LOCAL_WRITE);
    }
    complete(send, IBV_WC_WR_FLUSH_ERR);
  }
  flushing_ = !sends_.empty();
  if (flushing_) later(delay_ns(kFlushNs), [this] { flush_sends(); });
}

}  // namespace nvmf::rnic
