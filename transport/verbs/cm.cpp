#include "transport/verbs/cm.h"

#include <arpa/inet.h>
#include <fcntl.h>

#include <cerrno>

namespace nvmf::verbs {
namespace {

// How long a host waits when its capsule has met an empty shared receive queue (IBTA 9.7.5.2.8, table 45: 5 stands for
// 60 us). The slots come back within a turn of the reactor. The kernel's connection manager leaves 0 here, which stands
// for 655.36 ms, with the host's whole send queue behind it.
constexpr uint8_t kMinRnrTimer60Us = 5;

// As rdma_accept() does it, except for what rdma_accept() takes from the kernel unchanged: the address vector (the
// option RDMA_OPTION_ID_TOS only has an effect on the side that asks for the connection) and the RNR timer. The masks
// say what the transport has: iWARP has neither.
void move_to(ibv_qp_state state, rdma_cm_id* id, const rdma_conn_param& parameters,
             std::optional<uint8_t> traffic_class) {
  constexpr int kNotForUserSpace = 0xe00000;  // bits that some kernels leave in the mask
  ibv_qp_attr attributes{};
  int mask = 0;
  attributes.qp_state = state;
  if (rdma_init_qp_attr(id, &attributes, &mask) != 0) throw VerbsError(errno, "cannot query a queue pair's attributes");
  if (state == IBV_QPS_RTR) {
    if (traffic_class) attributes.ah_attr.grh.traffic_class = *traffic_class;
    attributes.max_dest_rd_atomic = parameters.responder_resources;
    attributes.min_rnr_timer = kMinRnrTimer60Us;
  }
  if (state == IBV_QPS_RTS) attributes.max_rd_atomic = parameters.initiator_depth;
  if (const int error = ibv_modify_qp(id->qp, &attributes, mask & ~kNotForUserSpace); error != 0)
    throw VerbsError(error, "cannot move a queue pair to its next state");
}

CmId bind(rdma_event_channel* channel, const sockaddr* address) {
  rdma_cm_id* raw = nullptr;
  if (rdma_create_id(channel, &raw, nullptr, RDMA_PS_TCP) != 0)
    throw VerbsError(errno, "cannot create an RDMA connection id");
  CmId id(raw);
  // A restarted daemon must not wait until the kernel has forgotten the former daemon's connections.
  int reuse = 1;
  rdma_set_option(raw, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &reuse, sizeof reuse);
  if (rdma_bind_addr(raw, const_cast<sockaddr*>(address)) != 0)  // NOLINT: the C interface lacks const
    throw VerbsError(errno, "cannot bind to " + to_string(address) +
                                " (the address must be that of an interface with an RNIC, and the service free)");
  return id;
}

}  // namespace

CmChannel create_cm_channel() {
  CmChannel channel(rdma_create_event_channel());
  if (!channel && errno == ENODEV)
    throw VerbsError(ENODEV,
                     "this machine has no RNIC: load its driver, or create a software device "
                     "(modprobe rdma_rxe && rdma link add rxe0 type rxe netdev INTERFACE); see `nvmf-p2p doctor`");
  if (!channel)
    throw VerbsError(errno,
                     "cannot open the RDMA connection manager: its module is not loaded (modprobe rdma_ucm), or "
                     "/dev/infiniband/rdma_cm may not be opened");
  if (fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK) != 0)
    throw VerbsError(errno, "cannot make the RDMA event channel non-blocking");
  return channel;
}

CmEvent next_event(rdma_event_channel* channel) {
  rdma_cm_event* event = nullptr;
  if (rdma_get_cm_event(channel, &event) != 0) return nullptr;
  return CmEvent(event);
}

CmId listen(rdma_event_channel* channel, const sockaddr* address, int backlog) {
  CmId id = bind(channel, address);
  if (rdma_listen(id.get(), backlog) != 0) throw VerbsError(errno, "cannot listen on " + to_string(address));
  return id;
}

// With any free service: librdmacm finds a device only by an address.
CmId open_device(rdma_event_channel* channel, const sockaddr_storage& address) {
  sockaddr_storage any_service = address;
  if (address.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(any_service).sin6_port = 0;
  else
    reinterpret_cast<sockaddr_in&>(any_service).sin_port = 0;
  CmId id = bind(channel, reinterpret_cast<const sockaddr*>(&any_service));
  if (!id->verbs) throw VerbsError(ENODEV, host_of(rdma_get_local_addr(id.get())) + " does not belong to an RNIC");
  return id;
}

void accept(rdma_cm_id* id, rdma_conn_param parameters, std::optional<uint8_t> traffic_class) {
  ibv_qp* const queue_pair = id->qp;
  for (const ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS})
    move_to(state, id, parameters, traffic_class);
  parameters.qp_num = queue_pair->qp_num;
  parameters.srq = queue_pair->srq != nullptr ? 1 : 0;
  id->qp = nullptr;  // the queue pair is ready: rdma_accept() only has to answer
  const int failed = rdma_accept(id, &parameters);
  id->qp = queue_pair;
  if (failed != 0) throw VerbsError(errno, "cannot accept the connection of " + to_string(rdma_get_peer_addr(id)));
}

std::string host_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  else
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  return text;
}

std::string to_string(const sockaddr* address) {
  const std::string host = host_of(address);
  if (address->sa_family == AF_INET6)
    return "[" + host + "]:" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in6*>(address)->sin6_port));
  return host + ":" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port));
}

}  // namespace nvmf::verbs
