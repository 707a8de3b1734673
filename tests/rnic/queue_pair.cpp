#include "tests/rnic/queue_pair.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace nvmf::rnic {
namespace {

constexpr uint64_t kErrorNs = 5'000;
// Attributes that each state needs, and may be given (ibv_modify_qp(3), for RC).
constexpr int kToInit = IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
constexpr int kToReceive =
    IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
constexpr int kToSend = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC;

uint32_t rounded(const Profile& profile, uint32_t entries) {
  return profile.rounds_up_queues && entries != 0 ? std::bit_ceil(entries) : entries;
}

}  // namespace

QueuePair::QueuePair(ProtectionDomain& domain_of, const ibv_qp_init_attr& wanted)
    : ibv_qp{}, domain(domain_of), device(domain_of.owner.device), initial(wanted) {
  context = domain.context;
  qp_context = wanted.qp_context;
  pd = &domain;
  send_cq = wanted.send_cq;
  recv_cq = wanted.recv_cq;
  srq = wanted.srq;
  qp_type = wanted.qp_type;
  qp_num = device.fabric().new_number();
  state = IBV_QPS_RESET;
  initial.cap.max_send_wr = rounded(device.profile(), wanted.cap.max_send_wr);
  initial.cap.max_recv_wr = wanted.srq != nullptr ? 0 : rounded(device.profile(), wanted.cap.max_recv_wr);
  ++domain.users;
  ++domain.owner.objects;
  ++device.queue_pairs;
  ++send_queue().queue_pairs;
  ++receive_queue().queue_pairs;
  if (shared() != nullptr) ++shared()->queue_pairs;
  device.fabric().enter(*this);
}

QueuePair::~QueuePair() {
  device.fabric().note("queue pair %llu destroyed, %llu sends unfinished", qp_num, sends_.size());
  if (message_ && shared() != nullptr) shared()->on_swallowed();
  send_queue().forget(*this, true);
  receive_queue().forget(*this, true);
  device.fabric().leave(*this);
  if (shared() != nullptr) --shared()->queue_pairs;
  --receive_queue().queue_pairs;
  --send_queue().queue_pairs;
  --device.queue_pairs;
  --domain.owner.objects;
  --domain.users;
}

int QueuePair::check_transition(ibv_qp_state next, int mask) const {
  if (device.refuses(next)) return ETIMEDOUT;
  const auto has = [mask](int needed) { return (mask & needed) == needed; };
  switch (next) {
    case IBV_QPS_RESET:
      return 0;
    case IBV_QPS_ERR:  // not from RESET: qp_state_table of the kernel's verbs.c
      return now == IBV_QPS_RESET ? EINVAL : 0;
    case IBV_QPS_INIT:
      return (now == IBV_QPS_RESET && has(kToInit)) || now == IBV_QPS_INIT ? 0 : EINVAL;
    case IBV_QPS_RTR:
      return now == IBV_QPS_INIT && has(kToReceive) ? 0 : EINVAL;
    case IBV_QPS_RTS:
      return (now == IBV_QPS_RTR && has(kToSend)) || now == IBV_QPS_RTS || now == IBV_QPS_SQD ? 0 : EINVAL;
    case IBV_QPS_SQD:
      return now == IBV_QPS_RTS || now == IBV_QPS_SQD ? 0 : EINVAL;
    default:
      return EINVAL;
  }
}

int QueuePair::modify(const ibv_qp_attr& changes, int mask) {
  if (device.is_gone()) return EIO;
  if (now == IBV_QPS_ERR && device.profile().error_is_final) return 0;
  const ibv_qp_state next = (mask & IBV_QP_STATE) != 0 ? changes.qp_state : now;
  if (const int error = check_transition(next, mask)) return error;

  if (mask & IBV_QP_ACCESS_FLAGS) attributes.qp_access_flags = changes.qp_access_flags;
  if (mask & IBV_QP_AV) attributes.ah_attr = changes.ah_attr;
  if (mask & IBV_QP_PATH_MTU) attributes.path_mtu = changes.path_mtu;
  if (mask & IBV_QP_DEST_QPN) attributes.dest_qp_num = changes.dest_qp_num;
  if (mask & IBV_QP_MAX_DEST_RD_ATOMIC) attributes.max_dest_rd_atomic = changes.max_dest_rd_atomic;
  if (mask & IBV_QP_MIN_RNR_TIMER) attributes.min_rnr_timer = changes.min_rnr_timer;
  if (mask & IBV_QP_TIMEOUT) attributes.timeout = changes.timeout;
  if (mask & IBV_QP_RETRY_CNT) attributes.retry_cnt = changes.retry_cnt;
  if (mask & IBV_QP_RNR_RETRY) attributes.rnr_retry = changes.rnr_retry;
  if (mask & IBV_QP_MAX_QP_RD_ATOMIC) attributes.max_rd_atomic = changes.max_rd_atomic;

  state = attributes.qp_state = next;
  if (next == IBV_QPS_RESET) {
    reset();
  } else if (next == IBV_QPS_ERR) {
    enter_error(false);
  } else {
    now = next;
    transmit();
  }
  return 0;
}

void QueuePair::reset() {
  now = IBV_QPS_RESET;
  epoch_ = std::make_unique<Life>();
  if (message_ && shared() != nullptr) shared()->on_swallowed();
  message_.reset();
  sends_.clear();
  receives_.clear();
  sent_ = 0;
  posted_ = freed_ = 0;
  busy_ = flushing_ = error_by_device_ = false;
  reads_outstanding_ = reads_answering_ = not_ready_ = unanswered_ = 0;
  send_queue().forget(*this, false);
  receive_queue().forget(*this, false);
}

unsigned QueuePair::reads_posted() const {
  return static_cast<unsigned>(
      std::ranges::count_if(sends_, [](const Send& send) { return send.opcode == IBV_WR_RDMA_READ && !send.done; }));
}

void QueuePair::fail() {
  enter_error(true);
  domain.owner.raise(IBV_EVENT_QP_FATAL, static_cast<ibv_qp*>(this));
}

void QueuePair::enter_error(bool by_device) {
  if (now == IBV_QPS_RESET) return;
  const bool first = now != IBV_QPS_ERR;
  if (first) {
    device.fabric().note("queue pair %llu is in error, %llu sends to flush", qp_num, sends_.size());
    now = IBV_QPS_ERR;
    error_by_device_ = by_device;
    epoch_ = std::make_unique<Life>();
    busy_ = false;
    later(delay_ns(kErrorNs), [this] { flush_receives(); });
  } else if (!by_device) {
    error_by_device_ = false;
  }
  if (std::exchange(flushing_, true)) return;
  later(delay_ns(kErrorNs), [this] { flush_sends(); });
}

int QueuePair::post(const ibv_send_wr& work) {
  const Profile& profile = device.profile();
  if (device.has_stopped()) return 0;
  if (now != IBV_QPS_RTS && now != IBV_QPS_SQD && now != IBV_QPS_ERR) return EINVAL;
  if (work.num_sge < 0 || static_cast<uint32_t>(work.num_sge) > initial.cap.max_send_sge) return EINVAL;
  if (posted_ - freed_ >= initial.cap.max_send_wr) return ENOMEM;

  Send send;
  send.wr_id = work.wr_id;
  send.opcode = work.opcode;
  send.signaled = initial.sq_sig_all != 0 || (work.send_flags & IBV_SEND_SIGNALED) != 0;
  send.pieces.assign(work.sg_list, work.sg_list + work.num_sge);
  for (const ibv_sge& piece : send.pieces) send.length_bytes += piece.length;
  switch (work.opcode) {
    case IBV_WR_SEND:
      break;
    case IBV_WR_SEND_WITH_INV:
      if (profile.remote_invalidate == RemoteInvalidate::Refused) return EINVAL;
      send.remote_key = work.invalidate_rkey ^ (profile.remote_invalidate == RemoteInvalidate::WrongKey ? 0x700 : 0);
      break;
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_READ:
      send.remote_address = work.wr.rdma.remote_addr;
      send.remote_key = work.wr.rdma.rkey;
      break;
    default:
      return EINVAL;
  }
  if (work.send_flags & IBV_SEND_INLINE) {
    if (send.length_bytes > initial.cap.max_inline_data || work.opcode == IBV_WR_RDMA_READ) return EINVAL;
    send.is_inline = true;
    for (const ibv_sge& piece : send.pieces) {
      const auto* from = reinterpret_cast<const std::byte*>(piece.addr);
      send.inline_data.insert(send.inline_data.end(), from, from + piece.length);
    }
  }
  send.number = ++posted_;
  if (now == IBV_QPS_ERR && profile.error_is_final) return 0;
  const bool was_empty = sends_.empty();
  sends_.push_back(std::move(send));
  if (now != IBV_QPS_ERR) {
    transmit();
  } else if (!flushing_ && (profile.flushes_after_device_error || !error_by_device_ || !was_empty)) {
    flushing_ = true;
    later(delay_ns(kErrorNs), [this] { flush_sends(); });
  }
  return 0;
}

int QueuePair::post(const ibv_recv_wr& work) {
  if (srq != nullptr) return EINVAL;
  if (device.has_stopped()) return 0;
  if (now == IBV_QPS_RESET || work.num_sge < 0 || static_cast<uint32_t>(work.num_sge) > initial.cap.max_recv_sge)
    return EINVAL;
  if (receives_.size() >= initial.cap.max_recv_wr) return ENOMEM;
  receives_.push_back({work.wr_id, {work.sg_list, work.sg_list + work.num_sge}});
  if (now == IBV_QPS_ERR) later(delay_ns(kErrorNs), [this] { flush_receives(); });
  return 0;
}

void QueuePair::on_polled(uint64_t sent) { freed_ = std::max(freed_, sent); }

}  // namespace nvmf::rnic
