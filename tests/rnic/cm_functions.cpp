// The functions of librdmacm. What they answer and in which order they do things was read in rdma-core's
// librdmacm/cma.c; the connection manager behind them in the kernel's drivers/infiniband/core/{cma,ucma,cm}.c.
#include <cerrno>
#include <cstring>

#include "tests/rnic/connection_manager.h"
#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {
namespace {

constexpr int kConsumerDefined = 28;  // ib_cm_rej_reason
constexpr uint8_t kAckTimeout = 17;   // what a RoCE path's packet life time comes to (cma.c, CMA_IBOE_PACKET_LIFETIME)

ConnectionManager& manager() { return Fabric::living().connections(); }
CmId& own(rdma_cm_id* id) { return *static_cast<CmId*>(id); }

int fail(int error) {
  errno = error;
  return -1;
}

int answer(int error) { return error == 0 ? 0 : fail(error); }

int move_to(CmId& id, ibv_qp_state state) {
  if (id.qp == nullptr) return 0;
  ibv_qp_attr attributes{};
  int mask = 0;
  attributes.qp_state = state;
  if (rdma_init_qp_attr(&id, &attributes, &mask) != 0) return -1;
  return answer(ibv_modify_qp(id.qp, &attributes, mask));
}

// With a queue pair on the id librdmacm finishes the handshake when the answer is read (ucma_process_conn_resp()).
void process_response(CmEvent& event) {
  CmId& id = own(event.id);
  if (id.qp == nullptr) return;
  if (move_to(id, IBV_QPS_RTR) == 0 && move_to(id, IBV_QPS_RTS) == 0) {
    manager().ready_to_use(id);
    event.event = RDMA_CM_EVENT_ESTABLISHED;
  } else {
    event.event = RDMA_CM_EVENT_CONNECT_ERROR;
  }
}

}  // namespace
}  // namespace nvmf::rnic

using namespace nvmf::rnic;

extern "C" {

rdma_event_channel* rdma_create_event_channel() {
  if (Fabric::living().devices().empty()) return errno = ENODEV, nullptr;
  return new CmChannel;
}

void rdma_destroy_event_channel(rdma_event_channel* channel) { delete static_cast<CmChannel*>(channel); }

int rdma_create_id(rdma_event_channel* channel, rdma_cm_id** id, void* context, rdma_port_space ps) {
  if (ps != RDMA_PS_TCP) return fail(EPROTONOSUPPORT);
  *id = new CmId(manager(), *static_cast<CmChannel*>(channel), context);
  return 0;
}

int rdma_destroy_id(rdma_cm_id* id) {
  delete &own(id);
  return 0;
}

int rdma_set_option(rdma_cm_id*, int, int, void*, size_t) { return 0; }

int rdma_bind_addr(rdma_cm_id* id, sockaddr* address) {
  if (address->sa_family != AF_INET) return fail(EAFNOSUPPORT);
  sockaddr_in wanted;
  std::memcpy(&wanted, address, sizeof wanted);
  Device* const device = Fabric::living().device_at(wanted.sin_addr);
  if (device == nullptr) return fail(ENODEV);
  if (wanted.sin_port == 0)
    wanted.sin_port = htons(manager().new_service());
  else if (manager().listener_at(wanted) != nullptr)
    return fail(EADDRINUSE);
  id->route.addr.src_sin = wanted;
  own(id).bind_to(*device);
  own(id).state = CmState::Bound;
  return 0;
}

int rdma_listen(rdma_cm_id* id, int backlog) {
  if (own(id).state != CmState::Bound) return fail(EINVAL);
  if (own(id).device()->is_gone()) return fail(ENODEV);
  if (manager().listener_at(id->route.addr.src_sin) != nullptr) return fail(EADDRINUSE);
  own(id).backlog = backlog;
  own(id).state = CmState::Listening;
  return 0;
}

int rdma_resolve_addr(rdma_cm_id* id, sockaddr* source, sockaddr* destination, int) {
  if (own(id).state == CmState::Idle) {
    Fabric& fabric = Fabric::living();
    if (fabric.devices().empty()) return fail(ENODEV);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr = fabric.devices().front()->address();
    if (source != nullptr) std::memcpy(&any, source, sizeof any);
    if (rdma_bind_addr(id, reinterpret_cast<sockaddr*>(&any)) != 0) return -1;
  }
  std::memcpy(&id->route.addr.dst_sin, destination, sizeof(sockaddr_in));
  const bool known = Fabric::living().device_at(id->route.addr.dst_sin.sin_addr) != nullptr;
  own(id).state = known ? CmState::AddressResolved : CmState::Bound;
  manager().tell_later(own(id), known ? RDMA_CM_EVENT_ADDR_RESOLVED : RDMA_CM_EVENT_ADDR_ERROR,
                       known ? 0 : -EHOSTUNREACH);
  return 0;
}

int rdma_resolve_route(rdma_cm_id* id, int) {
  if (own(id).state != CmState::AddressResolved) return fail(EINVAL);
  own(id).state = CmState::RouteResolved;
  manager().tell_later(own(id), RDMA_CM_EVENT_ROUTE_RESOLVED);
  return 0;
}

int rdma_create_qp(rdma_cm_id* id, ibv_pd* pd, ibv_qp_init_attr* attributes) {
  if (id->qp != nullptr || pd == nullptr || pd->context != id->verbs) return fail(EINVAL);
  ibv_qp* const queue_pair = ibv_create_qp(pd, attributes);
  if (queue_pair == nullptr) return -1;
  id->qp = queue_pair;
  id->pd = pd;
  if (move_to(own(id), IBV_QPS_INIT) == 0) return 0;
  const int error = errno;
  rdma_destroy_qp(id);
  return fail(error);
}

void rdma_destroy_qp(rdma_cm_id* id) {
  if (id->qp == nullptr) return;
  ibv_destroy_qp(id->qp);
  id->qp = nullptr;
}

int rdma_init_qp_attr(rdma_cm_id* id, ibv_qp_attr* attributes, int* mask) {
  const CmId& asked = own(id);
  if (asked.device() == nullptr || asked.device()->is_gone()) return fail(ENODEV);
  const ibv_qp_state state = attributes->qp_state;
  *attributes = {};
  attributes->qp_state = state;
  switch (state) {
    case IBV_QPS_INIT:
      *mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
      attributes->port_num = 1;
      attributes->qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
      return 0;
    case IBV_QPS_RTR: {
      if (asked.remote_qp == 0) return fail(EINVAL);
      *mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
              IBV_QP_MIN_RNR_TIMER | IBV_QP_ACCESS_FLAGS;
      attributes->qp_access_flags = IBV_ACCESS_REMOTE_WRITE | (asked.responder_resources ? IBV_ACCESS_REMOTE_READ : 0);
      const Device* const there = Fabric::living().device_at(asked.route.addr.dst_sin.sin_addr);
      attributes->path_mtu = asked.device()->port_attributes().active_mtu;
      if (there != nullptr) attributes->path_mtu = std::min(attributes->path_mtu, there->port_attributes().active_mtu);
      attributes->dest_qp_num = asked.remote_qp;
      attributes->max_dest_rd_atomic = asked.responder_resources;
      return 0;
    }
    case IBV_QPS_RTS:
      *mask =
          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC;
      attributes->timeout = kAckTimeout;
      attributes->retry_cnt = asked.retry_count;
      attributes->rnr_retry = asked.rnr_retry_count;
      attributes->max_rd_atomic = asked.initiator_depth;
      return 0;
    default:
      return fail(EINVAL);
  }
}

int rdma_connect(rdma_cm_id* id, rdma_conn_param* parameters) {
  if (own(id).state != CmState::RouteResolved) return fail(EINVAL);
  if (own(id).device()->is_gone()) return fail(ENODEV);
  manager().connect(own(id), *parameters);
  return 0;
}

int rdma_establish(rdma_cm_id* id) {
  if (id->qp != nullptr || own(id).state != CmState::Answered) return fail(EINVAL);
  manager().ready_to_use(own(id));
  return 0;
}

int rdma_accept(rdma_cm_id* id, rdma_conn_param* parameters) {
  CmId& accepted = own(id);
  if (accepted.state != CmState::Answering) return fail(EINVAL);
  if (accepted.device()->is_gone()) return fail(ENODEV);
  if (id->qp != nullptr) {
    accepted.responder_resources = parameters->responder_resources;
    accepted.initiator_depth = parameters->initiator_depth;
  }
  if (move_to(accepted, IBV_QPS_RTR) != 0 || move_to(accepted, IBV_QPS_RTS) != 0) return -1;
  manager().accept(accepted, *parameters);
  return 0;
}

int rdma_reject(rdma_cm_id* id, const void* private_data, uint8_t private_data_len) {
  if (own(id).state != CmState::Answering) return fail(EINVAL);
  manager().reject(own(id), kConsumerDefined, {static_cast<const std::byte*>(private_data), private_data_len});
  return 0;
}

int rdma_disconnect(rdma_cm_id* id) {
  CmId& ended = own(id);
  if (ended.device() == nullptr || ended.device()->is_gone()) return fail(ENODEV);
  int error = 0;
  if (id->qp != nullptr) {
    // ucma_shutdown(): ucma_modify_qp_sqd() for iWARP, which fails in the error state. The driver has closed the stream
    // then (IW_CM_EVENT_CLOSE), so that the other side hears of it all the same.
    const bool is_iwarp = ended.device()->profile().transport == IBV_TRANSPORT_IWARP;
    ibv_qp_attr attributes{};
    attributes.qp_state = is_iwarp ? IBV_QPS_SQD : IBV_QPS_ERR;
    error = ibv_modify_qp(id->qp, &attributes, IBV_QP_STATE);
    if (error != 0 && !is_iwarp) return fail(error);
  }
  manager().disconnect(ended);
  return answer(error);
}

int rdma_get_cm_event(rdma_event_channel* channel, rdma_cm_event** event) {
  auto& events = *static_cast<CmChannel*>(channel);
  // Without asking the kernel, which takes the simulation's time: a host asks again and again.
  if (events.events.empty() && !events.records.closed()) {
    errno = EAGAIN;
    return -1;
  }
  std::byte record;
  if (!events.records.take(&record)) return -1;
  CmEvent* const taken = events.events.front().release();
  events.events.pop_front();
  ++taken->counts_for->unacknowledged;
  if (taken->event == RDMA_CM_EVENT_CONNECT_REQUEST) --taken->counts_for->unread_requests;
  if (taken->event == RDMA_CM_EVENT_CONNECT_RESPONSE) process_response(*taken);
  *event = taken;
  return 0;
}

int rdma_ack_cm_event(rdma_cm_event* event) {
  auto* const taken = static_cast<CmEvent*>(event);
  --taken->counts_for->unacknowledged;
  delete taken;
  return 0;
}

const char* rdma_event_str(rdma_cm_event_type event) {
  static constexpr const char* kNames[] = {
      "RDMA_CM_EVENT_ADDR_RESOLVED",  "RDMA_CM_EVENT_ADDR_ERROR",      "RDMA_CM_EVENT_ROUTE_RESOLVED",
      "RDMA_CM_EVENT_ROUTE_ERROR",    "RDMA_CM_EVENT_CONNECT_REQUEST", "RDMA_CM_EVENT_CONNECT_RESPONSE",
      "RDMA_CM_EVENT_CONNECT_ERROR",  "RDMA_CM_EVENT_UNREACHABLE",     "RDMA_CM_EVENT_REJECTED",
      "RDMA_CM_EVENT_ESTABLISHED",    "RDMA_CM_EVENT_DISCONNECTED",    "RDMA_CM_EVENT_DEVICE_REMOVAL",
      "RDMA_CM_EVENT_MULTICAST_JOIN", "RDMA_CM_EVENT_MULTICAST_ERROR", "RDMA_CM_EVENT_ADDR_CHANGE",
      "RDMA_CM_EVENT_TIMEWAIT_EXIT"};
  return static_cast<size_t>(event) < std::size(kNames) ? kNames[event] : "UNKNOWN EVENT";
}

}  // extern "C"
