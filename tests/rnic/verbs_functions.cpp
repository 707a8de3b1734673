// The functions of libibverbs, and the operations that verbs.h calls through a context.
#include <infiniband/verbs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/device.h"
#include "tests/rnic/memory.h"
#include "tests/rnic/operations.h"
#include "tests/rnic/queue_pair.h"
#include "tests/rnic/shared_receive_queue.h"

// verbs.h wraps them.
#undef ibv_get_device_list
#undef ibv_query_port
#undef ibv_reg_mr

using namespace nvmf::rnic;

namespace nvmf::rnic {
namespace {

Device& device_of(ibv_context* context) { return Context::of(context).device; }
void fault(ibv_context* context, std::string what) { device_of(context).fabric().fault(std::move(what)); }

template <class Object>
Object* refuse(int error) {
  errno = error;
  return nullptr;
}

int poll(ibv_cq* queue, int most, ibv_wc* entries) {
  Fabric::living().begin_call();
  return static_cast<CompletionQueue*>(queue)->poll(most, entries);
}

int request_event(ibv_cq* queue, int) {
  static_cast<CompletionQueue*>(queue)->request_event();
  return 0;
}

// As many as there is room for; what could not be posted is told.
template <class Queue, class Work>
int post_all(Queue& queue, Work* work, Work** bad) {
  for (; work; work = work->next)
    if (const int error = queue.post(*work)) return *bad = work, error;
  return 0;
}

int post_send(ibv_qp* queue_pair, ibv_send_wr* work, ibv_send_wr** bad) {
  Fabric::living().begin_call();
  const Device& device = device_of(queue_pair->context);
  if (device.is_gone() && device.profile().posts_fail_after_removal) return *bad = nullptr, EIO;
  return post_all(*static_cast<QueuePair*>(queue_pair), work, bad);
}

int post_receive(ibv_qp* queue_pair, ibv_recv_wr* work, ibv_recv_wr** bad) {
  return post_all(*static_cast<QueuePair*>(queue_pair), work, bad);
}

int post_shared_receive(ibv_srq* queue, ibv_recv_wr* work, ibv_recv_wr** bad) {
  return post_all(*static_cast<SharedReceiveQueue*>(queue), work, bad);
}

int query_port(ibv_context* context, uint8_t port, ibv_port_attr* attributes, size_t) {
  if (device_of(context).is_gone()) return EIO;
  if (port != 1) return EINVAL;
  *attributes = device_of(context).port_attributes();
  return 0;
}

int query_device_ex(ibv_context* context, const ibv_query_device_ex_input*, ibv_device_attr_ex* attributes, size_t) {
  if (device_of(context).is_gone()) return EIO;
  *attributes = {};
  attributes->orig_attr = device_of(context).attributes();
  if (!device_of(context).profile().on_demand_paging) return 0;
  attributes->odp_caps.general_caps = IBV_ODP_SUPPORT;
  attributes->odp_caps.per_transport_caps.rc_odp_caps =
      IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ;
  return 0;
}

int advise(ibv_pd* pd, ibv_advise_mr_advice, uint32_t, ibv_sge* pieces, uint32_t count) {
  const auto& domain = *static_cast<ProtectionDomain*>(pd);
  if (!domain.owner.device.profile().on_demand_paging) return EOPNOTSUPP;
  const bool all_there = std::all_of(pieces, pieces + count, [&](const ibv_sge& piece) {
    return resolve(domain, piece.lkey, piece.addr, piece.length, 0) != nullptr;
  });
  return all_there ? 0 : ENOENT;
}

ibv_mr* make_region(ibv_pd* pd, void* address, size_t length, uint64_t iova, unsigned access, DmaBuf* dma_buf) {
  auto& domain = *static_cast<ProtectionDomain*>(pd);
  const Device& device = domain.owner.device;
  if (device.is_gone()) return refuse<ibv_mr>(EIO);
  if (length == 0) return refuse<ibv_mr>(EINVAL);
  if (!device.takes_memory(length)) return refuse<ibv_mr>(ENOMEM);
  // The kernel's ib_check_mr_access(): who lets others write must be allowed to write.
  if ((access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) != 0 && (access & IBV_ACCESS_LOCAL_WRITE) == 0)
    return refuse<ibv_mr>(EINVAL);
  if ((access & IBV_ACCESS_ON_DEMAND) != 0 && !device.profile().on_demand_paging) return refuse<ibv_mr>(EOPNOTSUPP);
  return new MemoryRegion(domain, address, length, iova, static_cast<int>(access), dma_buf);
}

}  // namespace

void fill_in(verbs_context& context) {
  context.query_port = query_port;
  context.query_device_ex = query_device_ex;
  context.advise_mr = advise;
  context.context.ops.poll_cq = poll;
  context.context.ops.req_notify_cq = request_event;
  context.context.ops.post_send = post_send;
  context.context.ops.post_recv = post_receive;
  context.context.ops.post_srq_recv = post_shared_receive;
}

}  // namespace nvmf::rnic

extern "C" {

// Devices --------------------------------------------------------------------------------------------------------

ibv_device** ibv_get_device_list(int* count) {
  const std::vector<Device*>& devices = Fabric::living().devices();
  auto** const list = new ibv_device* [devices.size() + 1] {};
  std::ranges::copy(devices, list);
  if (count != nullptr) *count = static_cast<int>(devices.size());
  return list;
}

void ibv_static_providers(void*, ...) {}

void ibv_free_device_list(ibv_device** list) { delete[] list; }

const char* ibv_get_device_name(ibv_device* device) { return device->name; }

ibv_context* ibv_open_device(ibv_device* device) {
  auto& opened = *static_cast<Device*>(device);
  if (opened.is_gone()) return refuse<ibv_context>(ENODEV);
  return &opened.open().context;
}

int ibv_close_device(ibv_context* context) {
  device_of(context).close(Context::of(context));
  return 0;
}

int ibv_query_device(ibv_context* context, ibv_device_attr* attributes) {
  if (device_of(context).is_gone()) return EIO;
  *attributes = device_of(context).attributes();
  return 0;
}

// verbs.h calls it only where a context has no query_port of its own.
int ibv_query_port(ibv_context*, uint8_t, _compat_ibv_port_attr*) { return EOPNOTSUPP; }

int _ibv_query_gid_ex(ibv_context* context, uint32_t port, uint32_t index, ibv_gid_entry* entry, uint32_t, size_t) {
  if (port != 1 || index != 0) return ENODATA;
  *entry = {};
  entry->gid = device_of(context).gid();
  entry->port_num = 1;
  entry->gid_type = IBV_GID_TYPE_ROCE_V2;
  return 0;
}

ssize_t _ibv_query_gid_table(ibv_context* context, ibv_gid_entry* entries, size_t most, uint32_t flags, size_t size) {
  return most != 0 && _ibv_query_gid_ex(context, 1, 0, entries, flags, size) == 0 ? 1 : 0;
}

int ibv_get_async_event(ibv_context* context, ibv_async_event* event) {
  return Context::of(context).next_event(*event) ? 0 : -1;
}

// The event says no context; that of the object does. DEVICE_FATAL and those of a port count nothing.
void ibv_ack_async_event(ibv_async_event* event) {
  switch (event->event_type) {
    case IBV_EVENT_CQ_ERR:
      return Context::of(event->element.cq->context).acknowledge(*event);
    case IBV_EVENT_SRQ_ERR:
    case IBV_EVENT_SRQ_LIMIT_REACHED:
      return Context::of(event->element.srq->context).acknowledge(*event);
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      return Context::of(event->element.qp->context).acknowledge(*event);
    default:
      return;
  }
}

// Memory -------------------------------------------------------------------------------------------------------------

ibv_pd* ibv_alloc_pd(ibv_context* context) {
  if (device_of(context).is_gone()) return refuse<ibv_pd>(EIO);
  return new ProtectionDomain(Context::of(context));
}

int ibv_dealloc_pd(ibv_pd* pd) {
  auto* const domain = static_cast<ProtectionDomain*>(pd);
  if (domain->users != 0) {
    fault(pd->context,
          "ibv_dealloc_pd() of a protection domain that " + std::to_string(domain->users) + " objects use");
    return EBUSY;
  }
  delete domain;
  return 0;
}

ibv_mr* ibv_reg_mr(ibv_pd* pd, void* address, size_t length, int access) {
  return make_region(pd, address, length, reinterpret_cast<uintptr_t>(address), static_cast<unsigned>(access), nullptr);
}

ibv_mr* ibv_reg_mr_iova2(ibv_pd* pd, void* address, size_t length, uint64_t iova, unsigned access) {
  return make_region(pd, address, length, iova, access, nullptr);
}

ibv_mr* ibv_reg_dmabuf_mr(ibv_pd* pd, uint64_t offset, size_t length, uint64_t iova, int fd, int access) {
  const auto found = Fabric::living().dma_bufs.find(fd);
  if (found == Fabric::living().dma_bufs.end()) return refuse<ibv_mr>(EBADF);
  DmaBuf& lent = *found->second;
  if (offset > lent.length_bytes || length > lent.length_bytes - offset) return refuse<ibv_mr>(EINVAL);
  if (device_of(pd->context).profile().pins_dma_bufs && !lent.can_be_pinned) return refuse<ibv_mr>(EOPNOTSUPP);
  return make_region(pd, lent.memory + offset, length, iova, static_cast<unsigned>(access), &lent);
}

int ibv_dereg_mr(ibv_mr* region) {
  delete static_cast<MemoryRegion*>(region);
  return 0;
}

// Completion queues --------------------------------------------------------------------------------------------------

ibv_comp_channel* ibv_create_comp_channel(ibv_context* context) {
  if (device_of(context).is_gone()) return refuse<ibv_comp_channel>(EIO);
  return new CompletionChannel(Context::of(context));
}

int ibv_destroy_comp_channel(ibv_comp_channel* channel) {
  if (channel->refcnt != 0) {
    fault(channel->context, "ibv_destroy_comp_channel() of a channel that completion queues use");
    return EBUSY;
  }
  delete static_cast<CompletionChannel*>(channel);
  return 0;
}

ibv_cq* ibv_create_cq(ibv_context* context, int entries, void* owner, ibv_comp_channel* channel, int vector) {
  const Device& device = device_of(context);
  if (device.is_gone()) return refuse<ibv_cq>(EIO);
  if (entries < 1 || entries > device.profile().max_cqe || vector != 0) return refuse<ibv_cq>(EINVAL);
  if (device.completion_queues >= device.profile().max_cq) return refuse<ibv_cq>(ENOMEM);
  return new CompletionQueue(Context::of(context), entries, static_cast<CompletionChannel*>(channel), owner);
}

int ibv_destroy_cq(ibv_cq* queue) {
  auto* const destroyed = static_cast<CompletionQueue*>(queue);
  if (destroyed->queue_pairs != 0) {
    fault(queue->context, "ibv_destroy_cq() of a queue that queue pairs use");
    return EBUSY;
  }
  Context::of(queue->context).forget(queue, "ibv_destroy_cq");
  delete destroyed;
  return 0;
}

int ibv_get_cq_event(ibv_comp_channel* channel, ibv_cq** queue, void** owner) {
  if (!static_cast<CompletionChannel*>(channel)->records.take(queue)) return -1;
  *owner = (*queue)->cq_context;
  static_cast<CompletionQueue*>(*queue)->on_event();
  return 0;
}

void ibv_ack_cq_events(ibv_cq* queue, unsigned events) { static_cast<CompletionQueue*>(queue)->acknowledge(events); }

// Shared receive queues ----------------------------------------------------------------------------------------------

ibv_srq* ibv_create_srq(ibv_pd* pd, ibv_srq_init_attr* attributes) {
  const Profile& profile = device_of(pd->context).profile();
  if (!profile.has_shared_receive_queues) return refuse<ibv_srq>(EOPNOTSUPP);
  if (device_of(pd->context).is_gone()) return refuse<ibv_srq>(EIO);
  if (attributes->attr.max_wr == 0 || attributes->attr.max_wr > static_cast<uint32_t>(profile.max_srq_wr) ||
      attributes->attr.max_sge > static_cast<uint32_t>(profile.max_sge))
    return refuse<ibv_srq>(EINVAL);
  if (device_of(pd->context).shared_receive_queues >= profile.max_srq) return refuse<ibv_srq>(ENOMEM);
  auto* const queue =
      new SharedReceiveQueue(*static_cast<ProtectionDomain*>(pd), attributes->attr, attributes->srq_context);
  attributes->attr = queue->attributes();
  return queue;
}

int ibv_modify_srq(ibv_srq* queue, ibv_srq_attr* attributes, int mask) {
  if (device_of(queue->context).is_gone()) return EIO;
  if (mask != IBV_SRQ_LIMIT) return EOPNOTSUPP;
  static_cast<SharedReceiveQueue*>(queue)->set_limit(attributes->srq_limit);
  return 0;
}

int ibv_query_srq(ibv_srq* queue, ibv_srq_attr* attributes) {
  if (device_of(queue->context).is_gone()) return EIO;
  *attributes = static_cast<SharedReceiveQueue*>(queue)->attributes();
  return 0;
}

int ibv_destroy_srq(ibv_srq* queue) {
  auto* const destroyed = static_cast<SharedReceiveQueue*>(queue);
  if (destroyed->queue_pairs != 0) {
    fault(queue->context, "ibv_destroy_srq() of a queue that queue pairs use");
    return EBUSY;
  }
  Context::of(queue->context).forget(queue, "ibv_destroy_srq");
  delete destroyed;
  return 0;
}

// Queue pairs --------------------------------------------------------------------------------------------------------

ibv_qp* ibv_create_qp(ibv_pd* pd, ibv_qp_init_attr* wanted) {
  const Device& device = device_of(pd->context);
  const Profile& profile = device.profile();
  if (device.is_gone()) return refuse<ibv_qp>(EIO);
  const ibv_qp_cap& cap = wanted->cap;
  const auto most = [](int limit) { return static_cast<uint32_t>(limit); };
  if (wanted->qp_type != IBV_QPT_RC || wanted->send_cq == nullptr || wanted->recv_cq == nullptr ||
      cap.max_send_wr > most(profile.max_qp_wr) || cap.max_recv_wr > most(profile.max_qp_wr) ||
      cap.max_send_sge > most(profile.max_sge) || cap.max_recv_sge > most(profile.max_sge) ||
      cap.max_inline_data > profile.max_inline_bytes)
    return refuse<ibv_qp>(EINVAL);
  if (device.queue_pairs >= profile.max_qp) return refuse<ibv_qp>(ENOMEM);
  auto* const queue_pair = new QueuePair(*static_cast<ProtectionDomain*>(pd), *wanted);
  wanted->cap = queue_pair->initial.cap;
  return queue_pair;
}

int ibv_modify_qp(ibv_qp* queue_pair, ibv_qp_attr* attributes, int mask) {
  return static_cast<QueuePair*>(queue_pair)->modify(*attributes, mask);
}

int ibv_query_qp(ibv_qp* queue_pair, ibv_qp_attr* attributes, int, ibv_qp_init_attr* initial) {
  const auto& asked = *static_cast<QueuePair*>(queue_pair);
  if (asked.device.is_gone()) return EIO;
  *attributes = asked.attributes;
  attributes->qp_state = attributes->cur_qp_state = asked.now;
  *initial = asked.initial;
  return 0;
}

int ibv_destroy_qp(ibv_qp* queue_pair) {
  auto* const destroyed = static_cast<QueuePair*>(queue_pair);
  Fabric& fabric = destroyed->device.fabric();
  const Profile& profile = destroyed->device.profile();
  if (profile.slow_destroy_ns != 0 && fabric.schedule().random().chance(profile.slow_destroy_percent)) {
    fabric.note("destroying queue pair %llu takes its time", queue_pair->qp_num);
    destroyed->attributes.qp_state = IBV_QPS_RESET;
    destroyed->modify(destroyed->attributes, IBV_QP_STATE);
    fabric.block(profile.slow_destroy_ns);
  }
  Context::of(queue_pair->context).forget(queue_pair, "ibv_destroy_qp");
  delete destroyed;
  return 0;
}

// Words --------------------------------------------------------------------------------------------------------------

const char* ibv_wc_status_str(ibv_wc_status status) {
  switch (status) {
    case IBV_WC_SUCCESS:
      return "success";
    case IBV_WC_LOC_LEN_ERR:
      return "local length error";
    case IBV_WC_LOC_QP_OP_ERR:
      return "local QP operation error";
    case IBV_WC_LOC_PROT_ERR:
      return "local protection error";
    case IBV_WC_WR_FLUSH_ERR:
      return "Work Request Flushed Error";
    case IBV_WC_REM_INV_REQ_ERR:
      return "remote invalid request error";
    case IBV_WC_REM_ACCESS_ERR:
      return "remote access error";
    case IBV_WC_REM_OP_ERR:
      return "remote operation error";
    case IBV_WC_RETRY_EXC_ERR:
      return "transport retry counter exceeded";
    case IBV_WC_RNR_RETRY_EXC_ERR:
      return "RNR retry counter exceeded";
    default:
      return "another error";
  }
}

const char* ibv_event_type_str(ibv_event_type event) {
  switch (event) {
    case IBV_EVENT_CQ_ERR:
      return "CQ error";
    case IBV_EVENT_QP_FATAL:
      return "local work queue catastrophic error";
    case IBV_EVENT_QP_REQ_ERR:
      return "invalid request local work queue error";
    case IBV_EVENT_QP_ACCESS_ERR:
      return "local access violation work queue error";
    case IBV_EVENT_PORT_ACTIVE:
      return "port active";
    case IBV_EVENT_PORT_ERR:
      return "port error";
    case IBV_EVENT_DEVICE_FATAL:
      return "local catastrophic error";
    case IBV_EVENT_SRQ_ERR:
      return "SRQ catastrophic error";
    case IBV_EVENT_SRQ_LIMIT_REACHED:
      return "SRQ limit reached";
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      return "last WQE reached";
    case IBV_EVENT_GID_CHANGE:
      return "GID table change";
    default:
      return "another event";
  }
}

const char* ibv_port_state_str(ibv_port_state state) {
  return state == IBV_PORT_ACTIVE ? "PORT_ACTIVE" : state == IBV_PORT_DOWN ? "PORT_DOWN" : "another state";
}

}  // extern "C"
