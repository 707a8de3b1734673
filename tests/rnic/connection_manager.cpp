#include "tests/rnic/connection_manager.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {
namespace {

constexpr uint64_t kMessageNs = 50'000;
constexpr uint64_t kLocalNs = 20'000;
constexpr uint64_t kNoAnswerNs = 4'000'000'000;
constexpr uint64_t kTimeWaitNs = 100'000'000;
// What is left of the messages' private data (ib_cm.h); for a request, less the connection manager's own header.
constexpr size_t kRequestBytes = 56;
constexpr size_t kReplyBytes = 196;
constexpr size_t kRejectionBytes = 148;
// ib_cm_rej_reason.
constexpr int kTimeout = 4;
constexpr int kInvalidService = 8;

std::span<const std::byte> private_data(const rdma_conn_param& parameters) {
  return {static_cast<const std::byte*>(parameters.private_data), parameters.private_data_len};
}

sockaddr_in& ipv4(rdma_addr& address, bool peer) { return peer ? address.dst_sin : address.src_sin; }

}  // namespace

struct ConnectionManager::Request {
  uint64_t from;
  sockaddr_in source;
  sockaddr_in destination;
  uint32_t qp_num;
  uint8_t responder_resources;
  uint8_t initiator_depth;
  uint8_t retry_count;
  uint8_t rnr_retry_count;
  std::vector<std::byte> data;
};

CmId::CmId(ConnectionManager& manager, CmChannel& of, void* of_owner)
    : rdma_cm_id{}, number(manager.enter(*this)), manager_(manager) {
  channel = &of;
  context = of_owner;
  ps = RDMA_PS_TCP;
  qp_type = IBV_QPT_RC;
}

CmId::~CmId() {
  if (unacknowledged != 0)
    manager_.fabric().fault("rdma_destroy_id() would wait for ever: " + std::to_string(unacknowledged) +
                            " events are not acknowledged");
  if (qp != nullptr) manager_.fabric().fault("rdma_destroy_id() before rdma_destroy_qp()");
  manager_.abandon(*this);
  manager_.leave(*this);
  if (verbs != nullptr) {
    Context& shared = Context::of(verbs);
    shared.device.unshare(shared);
  }
}

void CmId::bind_to(Device& device) {
  verbs = &device.share().context;
  port_num = 1;
}

uint64_t ConnectionManager::enter(CmId& id) {
  ids_.push_back(&id);
  return ++numbers_;
}

void ConnectionManager::leave(CmId& id) { std::erase(ids_, &id); }

CmId* ConnectionManager::find(uint64_t number) const {
  const auto found = std::ranges::lower_bound(ids_, number, {}, [](const CmId* id) { return id->number; });
  return found != ids_.end() && (*found)->number == number ? *found : nullptr;
}

CmId* ConnectionManager::listener_at(const sockaddr_in& address) const {
  const auto found = std::ranges::find_if(ids_, [&](CmId* id) {
    const sockaddr_in& own = ipv4(id->route.addr, false);
    return id->state == CmState::Listening && own.sin_port == address.sin_port &&
           own.sin_addr.s_addr == address.sin_addr.s_addr && id->device() != nullptr && !id->device()->is_gone();
  });
  return found == ids_.end() ? nullptr : *found;
}

void ConnectionManager::tell(CmId& id, rdma_cm_event_type type, int status, std::span<const std::byte> data,
                             size_t padded_bytes) {
  if (type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_REJECTED || type == RDMA_CM_EVENT_UNREACHABLE ||
      type == RDMA_CM_EVENT_DISCONNECTED)
    fabric_.note("connection " + std::to_string(id.number) + " hears " + rdma_event_str(type));
  auto event = std::make_unique<CmEvent>();
  event->id = &id;
  event->event = type;
  event->status = status;
  event->counts_for = &id;
  std::ranges::copy(data, event->private_data.begin());
  event->param.conn.private_data = padded_bytes != 0 ? event->private_data.data() : nullptr;
  event->param.conn.private_data_len = static_cast<uint8_t>(padded_bytes);
  event->param.conn.responder_resources = id.responder_resources;
  event->param.conn.initiator_depth = id.initiator_depth;
  event->param.conn.qp_num = id.remote_qp;
  id.events().events.push_back(std::move(event));
  id.events().records.put("");
}

void ConnectionManager::tell_later(CmId& id, rdma_cm_event_type type, int status) {
  fabric_.schedule().after(fabric_.schedule().delay_ns(kLocalNs), life_, [this, number = id.number, type, status] {
    if (CmId* const told = find(number)) tell(*told, type, status);
  });
}

void ConnectionManager::send(CmId& from, uint64_t to, std::function<void(CmId&)> arrives) {
  if (from.device() == nullptr || !from.device()->has_link()) return;
  Schedule& schedule = fabric_.schedule();
  from.delivered_at_ns = std::max(from.delivered_at_ns + 1, schedule.now_ns() + schedule.delay_ns(kMessageNs));
  schedule.after(from.delivered_at_ns - schedule.now_ns(), life_, [this, to, arrives = std::move(arrives)] {
    CmId* const id = find(to);
    if (id != nullptr && id->device()->has_link()) arrives(*id);
  });
}

// Setting up ---------------------------------------------------------------------------------------------------------

void ConnectionManager::connect(CmId& id, const rdma_conn_param& parameters) {
  id.state = CmState::Connecting;
  id.local_qp = id.qp != nullptr ? id.qp->qp_num : parameters.qp_num;
  id.retry_count = parameters.retry_count;
  const auto data = private_data(parameters);
  Request request{id.number,
                  ipv4(id.route.addr, false),
                  ipv4(id.route.addr, true),
                  id.local_qp,
                  parameters.responder_resources,
                  parameters.initiator_depth,
                  parameters.retry_count,
                  parameters.rnr_retry_count,
                  {data.begin(), data.end()}};
  Schedule& schedule = fabric_.schedule();
  if (id.device()->has_link())
    schedule.after(schedule.delay_ns(kMessageNs), life_, [this, request = std::move(request)] { on_request(request); });
  give_up_unless(CmState::Answered, id.number, CmState::Connecting);
}

// No answer to a request, or nobody who says that the connection is ready to use.
void ConnectionManager::give_up_unless(CmState reached, uint64_t number, CmState from) {
  fabric_.schedule().after(kNoAnswerNs, life_, [this, reached, number, from] {
    CmId* const id = find(number);
    if (id == nullptr || id->state == reached || id->state != from) return;
    id->state = CmState::Ended;
    tell(*id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT);
  });
}

void ConnectionManager::on_request(const Request& request) {
  Device* const device = fabric_.device_at(request.destination.sin_addr);
  if (device == nullptr || !device->has_link() || find(request.from) == nullptr) return;
  CmId* const listener = listener_at(request.destination);
  if (listener == nullptr) return refuse(request, kInvalidService);
  if (listener->unread_requests >= listener->backlog) return refuse(request, kTimeout);

  auto* const id = new CmId(*this, listener->events(), listener->context);
  id->bind_to(*device);
  id->state = CmState::Answering;
  id->peer = request.from;
  id->listener = listener->number;
  ipv4(id->route.addr, false) = request.destination;
  ipv4(id->route.addr, true) = request.source;
  id->remote_qp = request.qp_num;
  // What the one side answers at a time the other may ask for at a time.
  id->responder_resources = request.initiator_depth;
  id->initiator_depth = request.responder_resources;
  id->retry_count = request.retry_count;
  id->rnr_retry_count = request.rnr_retry_count;
  if (CmId* const asking = find(request.from)) asking->peer = id->number;
  ++listener->unread_requests;
  fabric_.note("connection request %llu arrives at listener %llu", id->number, listener->number);

  const bool padded = device->profile().transport != IBV_TRANSPORT_IWARP;
  tell(*id, RDMA_CM_EVENT_CONNECT_REQUEST, 0, request.data, padded ? kRequestBytes : request.data.size());
  CmEvent& event = *id->events().events.back();
  event.listen_id = listener;
  event.counts_for = listener;
}

void ConnectionManager::refuse(const Request& request, int reason) {
  Schedule& schedule = fabric_.schedule();
  schedule.after(schedule.delay_ns(kMessageNs), life_, [this, number = request.from, reason] {
    CmId* const id = find(number);
    if (id == nullptr || id->state != CmState::Connecting) return;
    id->state = CmState::Ended;
    tell(*id, RDMA_CM_EVENT_REJECTED, reason);
  });
}

void ConnectionManager::accept(CmId& id, const rdma_conn_param& parameters) {
  id.state = CmState::Accepted;
  id.local_qp = id.qp != nullptr ? id.qp->qp_num : parameters.qp_num;
  const auto data = private_data(parameters);
  send(id, id.peer,
       [this, number = id.number, qp_num = id.local_qp, depth = parameters.initiator_depth,
        resources = parameters.responder_resources, retries = parameters.rnr_retry_count,
        data = std::vector<std::byte>(data.begin(), data.end())](CmId& asking) {
         if (asking.state != CmState::Connecting) return;
         asking.state = CmState::Answered;
         asking.peer = number;
         asking.remote_qp = qp_num;
         asking.initiator_depth = resources;
         asking.responder_resources = depth;
         asking.rnr_retry_count = retries;
         tell(asking, RDMA_CM_EVENT_CONNECT_RESPONSE, 0, data, kReplyBytes);
       });
  give_up_unless(CmState::Connected, id.number, CmState::Accepted);
}

void ConnectionManager::reject(CmId& id, int reason, std::span<const std::byte> data) {
  id.state = CmState::Ended;
  send(id, id.peer, [this, reason, copy = std::vector<std::byte>(data.begin(), data.end())](CmId& other) {
    if (other.state == CmState::Ended || other.state == CmState::Connected) return;
    other.state = CmState::Ended;
    tell(other, RDMA_CM_EVENT_REJECTED, reason, copy, kRejectionBytes);
  });
}

void ConnectionManager::ready_to_use(CmId& id) {
  id.state = CmState::Connected;
  send(id, id.peer, [this](CmId& accepted) {
    if (accepted.state != CmState::Accepted) return;
    accepted.state = CmState::Connected;
    tell(accepted, RDMA_CM_EVENT_ESTABLISHED);
  });
}

// The end ------------------------------------------------------------------------------------------------------------

void ConnectionManager::disconnect(CmId& id) {
  if (id.state != CmState::Connected && id.state != CmState::Accepted && id.state != CmState::Answered) return;
  id.state = CmState::Disconnecting;
  send(id, id.peer, [this](CmId& other) {
    const CmState was = std::exchange(other.state, CmState::Ended);
    if (was != CmState::Ended) end(other, 0);
    send(other, other.peer, [this](CmId& asked) { end(asked, 0); });  // DREP
  });
  fabric_.schedule().after(kNoAnswerNs / 4, life_, [this, number = id.number] {
    if (CmId* const waiting = find(number)) end(*waiting, -ETIMEDOUT);
  });
}

void ConnectionManager::end(CmId& id, int status) {
  id.state = CmState::Ended;
  if (std::exchange(id.told_of_end, true)) return;
  tell(id, RDMA_CM_EVENT_DISCONNECTED, status);
  fabric_.schedule().after(kTimeWaitNs, life_, [this, number = id.number] {
    CmId* const waited = find(number);
    if (waited != nullptr && !waited->device()->is_gone()) tell(*waited, RDMA_CM_EVENT_TIMEWAIT_EXIT);
  });
}

void ConnectionManager::abandon(CmId& id) {
  drop_events(id);
  switch (id.state) {
    case CmState::Listening:
      return drop_requests(id);
    case CmState::Connecting:
    case CmState::Answering:
      return reject(id, kTimeout, {});
    case CmState::Accepted:
    case CmState::Answered:
    case CmState::Connected:
      return disconnect(id);
    default:
      return;
  }
}

void ConnectionManager::drop_events(CmId& id) {
  CmChannel& channel = id.events();
  const size_t before = channel.events.size();
  std::erase_if(channel.events,
                [&](const auto& event) { return event->id == &id && event->event != RDMA_CM_EVENT_CONNECT_REQUEST; });
  std::byte record;
  for (size_t gone = before - channel.events.size(); gone != 0; --gone) channel.records.take(&record);
}

// That nobody has read.
void ConnectionManager::drop_requests(const CmId& listener) {
  CmChannel& channel = listener.events();
  std::vector<CmId*> unread;
  for (const auto& event : channel.events)
    if (event->listen_id == &listener) unread.push_back(static_cast<CmId*>(event->id));
  std::erase_if(channel.events, [&](const auto& event) { return event->listen_id == &listener; });
  std::byte record;
  for (CmId* const id : unread) {
    channel.records.take(&record);
    delete id;
  }
}

void ConnectionManager::device_removed(Device& device) {
  for (CmId* const id : ids_) {
    if (id->device() != &device) continue;
    tell_later(*id, RDMA_CM_EVENT_DEVICE_REMOVAL);
  }
}

void ConnectionManager::address_changed(const Device& device) {
  fabric_.note("addresses change");
  for (CmId* const id : ids_)
    if (id->device() == &device) tell_later(*id, RDMA_CM_EVENT_ADDR_CHANGE);
}

}  // namespace nvmf::rnic
