// librdmacm objects as owning types. Control thread only.
#pragma once

#include <rdma/rdma_cma.h>

#include <optional>
#include <string>

#include "transport/verbs/verbs.h"

namespace nvmf::verbs {

using CmChannel = Owned<rdma_event_channel, rdma_destroy_event_channel>;
// rdma_destroy_id: before, every event of the id must have been acknowledged, and its queue pair destroyed.
using CmId = Owned<rdma_cm_id, rdma_destroy_id>;

// An event acknowledges itself when it goes out of scope: destroy its id only after that.
using CmEvent = Owned<rdma_cm_event, rdma_ack_cm_event>;

// Non-blocking. Throws VerbsError: ENODEV when there is no RNIC; devices may appear and disappear later.
CmChannel create_cm_channel();
// Null when no event is waiting.
CmEvent next_event(rdma_event_channel* channel);

// An id bound to `address` that listens. Throws VerbsError.
CmId listen(rdma_event_channel* channel, const sockaddr* address, int backlog);

// The RNIC that `address` belongs to, opened by librdmacm (id->verbs) and kept open by it as long as the id
// lives: objects made on this context work together with the ids of connections. RDMA_CM_EVENT_DEVICE_REMOVAL comes on
// the id when the device goes. Throws VerbsError: there is no such device (yet).
CmId open_device(rdma_event_channel* channel, const sockaddr_storage& address);

// rdma_accept() of an id with a queue pair (rdma_create_qp). `traffic_class`, where given, marks the packets that the
// queue pair sends: the IP header's type of service. Without it they carry the value that the other side asked for.
// A message of the other side that finds no receive is sent again after 60 us. Throws VerbsError.
void accept(rdma_cm_id* id, rdma_conn_param parameters, std::optional<uint8_t> traffic_class);

// "192.0.2.7" or "2001:db8::1".
std::string host_of(const sockaddr* address);
// "192.0.2.7:4420" or "[2001:db8::1]:4420".
std::string to_string(const sockaddr* address);

}  // namespace nvmf::verbs
