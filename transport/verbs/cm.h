// librdmacm objects as owning types. Control thread only.
#pragma once

#include <rdma/rdma_cma.h>

#include <optional>
#include <span>
#include <string>

#include "transport/verbs/verbs.h"

namespace nvmf::verbs {

using CmChannel = Owned<rdma_event_channel, rdma_destroy_event_channel>;
// rdma_destroy_id: every event of the id must have been acknowledged, and its queue pair destroyed, before.
using CmId = Owned<rdma_cm_id, rdma_destroy_id>;

// An event acknowledges itself when it goes out of scope: destroy the id it is about only after that.
using CmEvent = Owned<rdma_cm_event, rdma_ack_cm_event>;

// Non-blocking.
CmChannel create_cm_channel();
// Null when no event is waiting.
CmEvent next_event(rdma_event_channel* channel);

// An id bound to `address` that listens. Throws VerbsError.
CmId listen(rdma_event_channel* channel, const sockaddr* address, int backlog);

// rdma_accept() of an id with a queue pair (rdma_create_qp). `traffic_class`, where given, marks the packets that the
// queue pair sends: the IP header's type of service. Without it they carry what the other side's request asked for.
// Throws VerbsError.
void accept(rdma_cm_id* id, rdma_conn_param parameters, std::optional<uint8_t> traffic_class);

// The RDMA devices, opened by librdmacm and kept open by it as long as this lives: objects made on these contexts work
// together with the ids of connections. Empty when there is no device.
class DeviceList {
 public:
  DeviceList();
  std::span<ibv_context* const> contexts() const { return {devices_.get(), count_}; }

 private:
  Owned<ibv_context*, rdma_free_devices> devices_;
  size_t count_ = 0;
};

// "192.0.2.7" or "2001:db8::1".
std::string host_of(const sockaddr* address);
// "192.0.2.7:4420" or "[2001:db8::1]:4420".
std::string to_string(const sockaddr* address);

}  // namespace nvmf::verbs
