#include "transport/rdma/connection.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/subsystem/target.h"

namespace nvmf::rdma {

Connection::Connection(verbs::CmId& id, const Handshake& handshake, const ConnectionOptions& options)
    : id_(std::move(id)),
      rnic_(options.rnic),
      group_(handshake.qid == 0 ? rnic_.admin_group() : rnic_.io_group_for(handshake.depth)),
      shares_(options.shares),
      port_id_(options.port_id),
      peer_(verbs::to_string(rdma_get_peer_addr(id_.get()))),
      address_(verbs::host_of(rdma_get_peer_addr(id_.get()))),
      local_address_(verbs::host_of(rdma_get_local_addr(id_.get()))),
      on_closing_(options.on_closing),
      deadline_(options.io) {
  queue_.target = &options.target;
  queue_.link = this;
  queue_.qid = handshake.qid;
  queue_.depth = handshake.depth;
  queue_.in_capsule_bytes = group_.in_capsule_bytes();
  if (handshake.qid != 0) {
    queue_.control = &options.control;
    queue_.reactor = &group_.mailbox();
  }
  queue_pair_.number = options.number;
  queue_pair_.queue = &queue_;
  queue_pair_.send_entries = rnic_.send_entries(handshake.depth);
  queue_pair_.read_depth = handshake.read_depth;
  queue_pair_.remote_invalidate = rnic_.has_remote_invalidate();

  try {
    make_room();
  } catch (...) {
    id = std::move(id_);
    throw;
  }
  queue_.share = shares_.take(address_);
}

Connection::~Connection() {
  shares_.give_back(address_);
  rnic_.release_io_queues(reserved_io_queues_);
  if (id_) rdma_destroy_qp(id_.get());
  group_.unreserve(*queue_pair_.queues, queue_.depth, queue_pair_.send_entries);
  group_.find_lost_slots(queue_pair_);
}

void Connection::make_room() {
  const bool is_io = queue_.qid != 0;
  if (!is_io || rnic_.has_room_beside_admin_queues())
    queue_pair_.queues = group_.reserve(queue_.depth, queue_pair_.send_entries);
  if (queue_pair_.queues == nullptr)
    throw NoRoom(rnic_.name() + " has no resources for one more " + (is_io ? "I/O" : "admin") + " queue of " +
                 std::to_string(queue_.depth) + " entries");
  try {
    create_queue_pair();
  } catch (...) {
    group_.unreserve(*queue_pair_.queues, queue_.depth, queue_pair_.send_entries);
    throw;
  }
}

void Connection::create_queue_pair() {
  ibv_qp_init_attr attributes{};
  attributes.qp_context = this;
  attributes.send_cq = queue_pair_.queues->send_cq.get();
  attributes.recv_cq = queue_pair_.queues->receive_cq.get();
  attributes.srq = queue_pair_.queues->shared_receives.get();
  attributes.cap.max_send_wr = queue_pair_.send_entries;
  attributes.cap.max_send_sge = 1;
  attributes.cap.max_inline_data = core::limits::kCqeBytes;
  attributes.qp_type = IBV_QPT_RC;
  ibv_qp_init_attr asked = attributes;
  if (rdma_create_qp(id_.get(), group_.domain(), &asked) == 0) {
    queue_pair_.inline_flag = IBV_SEND_INLINE;
  } else {
    asked = attributes;
    asked.cap.max_inline_data = 0;  // not every RNIC supports inline data
    if (rdma_create_qp(id_.get(), group_.domain(), &asked) != 0)
      throw verbs::VerbsError(errno, rnic_.name() + ": cannot create a queue pair with " +
                                         std::to_string(queue_pair_.send_entries) + " send entries");
  }
  queue_pair_.qp = id_->qp;
}

void Connection::accept(std::optional<uint8_t> traffic_class) {
  group_.adopt(queue_pair_);
  const nvme::RdmaCmAccept answer{.recfmt = 0, .crqsize = queue_.depth, .reserved4 = {}};
  rdma_conn_param parameters{};
  parameters.private_data = &answer;
  parameters.private_data_len = sizeof answer;
  parameters.initiator_depth = queue_pair_.read_depth;
  parameters.flow_control = 1;
  parameters.rnr_retry_count = 7;  // without bound
  verbs::accept(id_.get(), parameters, traffic_class);
  queue_.path_mtu = verbs::path_mtu_bytes(queue_pair_.qp);
  rnic_.note_path_mtu(queue_.path_mtu);
}

uint32_t Connection::reserve_io_queues(uint32_t wanted) {
  rnic_.release_io_queues(reserved_io_queues_);
  reserved_io_queues_ = rnic_.reserve_io_queues(wanted, queue_.target->options().max_queue_depth);
  return reserved_io_queues_;
}

void Connection::expect_connect_command(uint32_t timeout_ms) {
  deadline_.set(std::chrono::milliseconds(timeout_ms), [this, timeout_ms] {
    if (queue_.controller == nullptr) disconnect("no Connect command within " + std::to_string(timeout_ms) + " ms");
  });
}

void Connection::disconnect(const std::string& reason) {
  if (closing_) return;
  closing_ = true;
  group_.retire(queue_pair_);
  deadline_.set(std::chrono::milliseconds(core::limits::kLastAnswersTimeoutMs), [this] { abandon(); });
  on_closing_(*this, reason);
}

void Connection::lost(const std::string& reason) {
  disconnect(reason);
  abandon();
}

void Connection::abandon() {
  if (abandoned_ || drained_) return;
  abandoned_ = true;
  rdma_disconnect(id_.get());  // fails when the peer or the device is gone already, with the same result
  deadline_.cancel();
  group_.abandon(queue_pair_);
}

void Connection::await_flush() {
  deadline_.set(std::chrono::milliseconds(core::limits::kFlushTimeoutMs),
                [this] { group_.end_unflushed(queue_pair_); });
}

void Connection::drained() {
  drained_ = true;
  if (!abandoned_) rdma_disconnect(id_.get());
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_ERR;
  ibv_modify_qp(queue_pair_.qp, &attributes, IBV_QP_STATE);  // fails when it is there or reset, or the device is gone
  if (last_receive_reached_ || group_.ignores_completions()) return dismiss();
  deadline_.set(std::chrono::milliseconds(core::limits::kLastReceiveTimeoutMs), [this] { dismiss(); });
}

void Connection::last_receive_reached() {
  last_receive_reached_ = true;
  if (drained_) dismiss();
}

std::function<void()> Connection::end_of_queue_pair() {
  const auto id = std::make_shared<verbs::CmId>(std::move(id_));
  return [id] {
    rdma_destroy_qp(id->get());
    id->reset();
  };
}

void Connection::dismiss() {
  if (std::exchange(dismissed_, true)) return;
  deadline_.cancel();
  group_.dismiss(queue_pair_);
}

}  // namespace nvmf::rdma
