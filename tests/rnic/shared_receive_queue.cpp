#include "tests/rnic/shared_receive_queue.h"

#include <bit>
#include <cerrno>

namespace nvmf::rnic {

SharedReceiveQueue::SharedReceiveQueue(ProtectionDomain& domain, const ibv_srq_attr& wanted, void* of_owner)
    : ibv_srq{},
      domain_(domain),
      capacity_(domain.owner.device.profile().rounds_up_queues ? std::bit_ceil(wanted.max_wr + 1) - 1 : wanted.max_wr),
      max_sge_(wanted.max_sge) {
  context = domain.context;
  pd = &domain;
  srq_context = of_owner;
  ++domain.users;
  ++domain.owner.objects;
  ++domain.owner.device.shared_receive_queues;
}

SharedReceiveQueue::~SharedReceiveQueue() {
  for (CompletionQueue* queue : domain_.owner.completion_queues) queue->forget(*this);
  --domain_.users;
  --domain_.owner.device.shared_receive_queues;
  --domain_.owner.objects;
}

int SharedReceiveQueue::post(const ibv_recv_wr& work) {
  if (work.num_sge < 0 || static_cast<uint32_t>(work.num_sge) > max_sge_) return EINVAL;
  if (occupied_ == capacity_) return ENOMEM;
  ++occupied_;
  receives_.push_back({work.wr_id, {work.sg_list, work.sg_list + work.num_sge}});
  return 0;
}

std::optional<Receive> SharedReceiveQueue::take() {
  if (failed_ || receives_.empty()) return std::nullopt;
  Receive taken = std::move(receives_.front());
  receives_.pop_front();
  if (!domain_.owner.device.profile().poll_frees_receive_entries) --occupied_;
  if (receives_.size() < limit_) {
    limit_ = 0;
    domain_.owner.raise(IBV_EVENT_SRQ_LIMIT_REACHED, static_cast<ibv_srq*>(this));
  }
  return taken;
}

void SharedReceiveQueue::on_polled() {
  if (domain_.owner.device.profile().poll_frees_receive_entries) --occupied_;
}

void SharedReceiveQueue::on_removed() {
  if (domain_.owner.device.profile().removal_frees_receive_entries) on_polled();
  on_swallowed();
}

void SharedReceiveQueue::on_swallowed() {
  ++swallowed_;
  domain_.owner.device.fabric().note("a receive entry was swallowed; %llu are left", receives_.size());
}

void SharedReceiveQueue::on_flushed_silently() {
  if (domain_.owner.device.profile().silent_flush_frees_receive_entries) on_polled();
  on_swallowed();
}

void SharedReceiveQueue::fail() {
  if (failed_) return;
  failed_ = true;
  domain_.owner.raise(IBV_EVENT_SRQ_ERR, static_cast<ibv_srq*>(this));
}

}  // namespace nvmf::rnic
