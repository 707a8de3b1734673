// A part of Transport: connection requests, from their event to the accepted connection. Those that come faster than
// the operator allows wait for their turn.
#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>
#include <vector>

#include "target/core/datapath/limits.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/host_network.h"
#include "transport/rdma/transport.h"

namespace nvmf::rdma {
namespace {

using nvme::RdmaCmStatus;

// In one turn of the control thread.
constexpr unsigned kRequestsPerTurn = 16;

core::Event refused(std::string message) {
  return {.severity = core::Severity::Warning, .kind = core::EventKind::Refusal, .message = std::move(message)};
}

bool is_silent(const Connection* connection) { return connection->queue().controller == nullptr; }

// Leaves those that have no Connect command yet, or whose host must authenticate and has not.
void drop_finished(std::deque<Connection*>& connections) {
  std::erase_if(connections, [](const Connection* connection) {
    return connection->is_closing() || (!is_silent(connection) && connection->queue().controller->is_admitted());
  });
}

// So long that an honest host would have authenticated.
bool is_old(const core::Controller& controller) {
  return core::KeepAlive::Clock::now() - controller.created_at() >=
         std::chrono::milliseconds(core::limits::kUnauthenticatedLeastMs);
}

}  // namespace

void Transport::on_connect_request(const rdma_cm_event& event) {
  // Its only event so far belongs to the listening id: this id may be destroyed at any time.
  Request request{.id = verbs::CmId(event.id), .handshake = {}, .port_id = 0};
  rdma_cm_id* const raw = request.id.get();
  raw->context = nullptr;

  Rnic* const rnic = find(raw->verbs);
  if (!rnic) return reject(raw, RdmaCmStatus::NoResources, device_name(raw->verbs) + " is not in service");
  const rdma_conn_param& asked = event.param.conn;
  request.handshake = negotiate({static_cast<const std::byte*>(asked.private_data), asked.private_data_len},
                                asked.initiator_depth, limits_of(*rnic));
  const auto listener =
      std::ranges::find_if(listeners_, [&](const Listener& l) { return l.id.get() == event.listen_id; });
  if (listener != listeners_.end()) request.port_id = listener->port_id;
  if (const auto refusal = refusal_of(request)) return reject(raw, refusal->status, refusal->why);

  const auto at = time_of(request.handshake, verbs::host_of(rdma_get_peer_addr(raw)));
  if (!at) return send_rejection(raw, RdmaCmStatus::NoResources);
  if (*at <= ConnectRate::Clock::now()) return accept(request);
  wait(*at, request);
}

// Asked when it comes, and again when its time has come.
std::optional<Transport::Refusal> Transport::refusal_of(const Request& request) {
  const auto no_resources = [](std::string why) { return Refusal{RdmaCmStatus::NoResources, std::move(why)}; };
  const Handshake& handshake = request.handshake;
  Rnic* const rnic = find(request.id->verbs);
  if (stopping_) return no_resources("the target is shutting down");
  if (!rnic || !in_service_.contains(rnic)) return no_resources(device_name(request.id->verbs) + " is not in service");
  if (handshake.status != RdmaCmStatus::Ok) return Refusal{handshake.status, handshake.fault};
  if (!is_listening(request.port_id)) return no_resources("the port was closed");
  if (handshake.cntlid && !target_.has_controller(*handshake.cntlid, request.port_id))
    return Refusal{RdmaCmStatus::InvalidCntlid, "this port has no controller " + std::to_string(*handshake.cntlid)};
  return std::nullopt;
}

// None: it comes too fast, which is logged.
std::optional<ConnectRate::Clock::time_point> Transport::time_of(const Handshake& handshake,
                                                                 const std::string& address) {
  using Verdict = ConnectRate::Verdict;
  const auto now = ConnectRate::Clock::now();
  const bool has_room = waiting_.size() < ConnectRate::kMostWaiting;
  const ConnectRate::Admission admission = !has_room ? rate_.refuse()
                                           : handshake.qid == 0
                                               ? rate_.admit(address, now, target_.options().max_io_queues)
                                               : rate_.admit_io_queue(address, now);
  if (admission == Verdict::Admitted) return admission.at;
  if (const auto count = rate_.report(now)) {
    const bool own = admission == Verdict::TooManyOfAddress;
    target_.event(refused("refused " + std::to_string(*count) + " connections (RDMA-CM status 6), the last one from " +
                          address + ": they came so much faster than \"limits\".\"max_new_controllers_per_s" +
                          (own ? "_per_host" : "") +
                          "\" allows that they would have waited too long; hosts try again"));
  }
  return std::nullopt;
}

void Transport::accept(Request& request) {
  rdma_cm_id* const raw = request.id.get();
  if (const auto refusal = refusal_of(request)) return reject(raw, refusal->status, refusal->why);
  make_room_for(verbs::host_of(rdma_get_peer_addr(raw)));
  try {
    make_connection(request);
  } catch (const Connection::NoRoom& error) {
    if (!may_wait_for_room(request)) return reject(raw, RdmaCmStatus::NoResources, error.what());
    wait(*request.wants_room_until, request);
  } catch (const std::exception& error) {
    reject(raw, RdmaCmStatus::NoResources, error.what());
  }
}

void Transport::make_connection(Request& request) {
  rdma_cm_id* const raw = request.id.get();
  const ConnectionOptions options{
      .io = io_,
      .target = target_,
      .control = control_,
      .rnic = *find(raw->verbs),
      .shares = shares_,
      .number = ++last_number_,
      .port_id = request.port_id,
      .on_closing = [this](Connection& closing, const std::string& reason) { on_closing(closing, reason); }};
  auto connection = std::make_unique<Connection>(request.id, request.handshake, options);
  raw->context = connection.get();
  Connection& accepted = *connection;
  connections_.emplace(accepted.number(), std::move(connection));
  unfinished_[accepted.address()].push_back(&accepted);
  if (!awaits_stalled_hosts_) await_stalled_hosts();
  try {
    accepted.accept(traffic_class_of(accepted.port_id()));
    accepted.expect_connect_command(options_.connect_timeout_ms);
    ++counters_.accepted;
  } catch (const std::exception& error) {
    accepted.lost(error.what());
  }
}

// The RNIC is full. A connection that nobody uses ends for it, and it waits for that room; or for a group that is being
// rebuilt.
bool Transport::may_wait_for_room(Request& request) {
  const auto now = ConnectRate::Clock::now();
  if (!request.wants_room_until) request.wants_room_until = now + ConnectRate::kMostDelay;
  if (now >= *request.wants_room_until || waiting_.size() >= ConnectRate::kMostWaiting) return false;
  Rnic& rnic = *find(request.id->verbs);
  const bool is_admin = request.handshake.qid == 0;
  request.awaits_group = rnic.awaits_group(is_admin);
  if (request.awaits_group) return true;
  const bool ever_has_room = is_admin || rnic.io_queue_capacity(request.handshake.depth) != 0;
  const std::string newcomer = verbs::host_of(rdma_get_peer_addr(request.id.get()));
  return ever_has_room && end_an_unfinished_connection(rnic, is_admin, newcomer);
}

void Transport::wait(ConnectRate::Clock::time_point until, Request& request) {
  waiting_.emplace(until, std::move(request));
  await_next_request();
}

// A queue has ended: whoever has waited longest for the room of such a one has it now, before any that comes later.
void Transport::give_room(const Rnic& rnic, bool is_admin) {
  const auto longest = std::ranges::find_if(waiting_, [&](const auto& one) {
    const Request& request = one.second;
    return request.wants_room_until && request.id->verbs == rnic.context() && (request.handshake.qid == 0) == is_admin;
  });
  if (longest == waiting_.end()) return;
  auto due = waiting_.extract(longest);
  if (due.mapped().withdrawn) return give_room(rnic, is_admin);
  accept(due.mapped());
}

// In the order in which they came, a few each turn.
void Transport::give_rebuilt_group(const Rnic& rnic) {
  std::vector<decltype(waiting_)::node_type> due;
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto one = next++;
    const Request& request = one->second;
    if (request.awaits_group && request.id->verbs == rnic.context()) due.push_back(waiting_.extract(one));
  }
  for (auto& one : due) {
    one.key() = ConnectRate::Clock::now();
    waiting_.insert(std::move(one));
  }
  await_next_request();
}

// A few at a time, as when they come.
void Transport::await_next_request() {
  if (waiting_.empty()) return next_request_.cancel();
  const auto left = waiting_.begin()->first - ConnectRate::Clock::now();
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(left);
  next_request_.set(std::max(wait, std::chrono::milliseconds(0)), [this] {
    const auto now = ConnectRate::Clock::now();
    for (unsigned taken = 0; taken < kRequestsPerTurn && !waiting_.empty() && waiting_.begin()->first <= now; ++taken) {
      auto due = waiting_.extract(waiting_.begin());
      if (!due.mapped().withdrawn) accept(due.mapped());
    }
    turn_admin();
    await_next_request();
  });
}

// Its event is still to be acknowledged: it goes when its time has come.
void Transport::withdraw(const rdma_cm_id* id) {
  for (auto& [at, request] : waiting_)
    if (request.id.get() == id) request.withdrawn = true;
}

void Transport::refuse_waiting(const std::function<bool(const Request&)>& is_meant, const std::string& why) {
  std::erase_if(waiting_, [&](const auto& one) {
    if (!is_meant(one.second)) return false;
    if (!one.second.withdrawn) reject(one.second.id.get(), RdmaCmStatus::NoResources, why);
    return true;
  });
}

// Silent connections of one address are so many at most: the oldest goes.
void Transport::make_room_for(const std::string& address) {
  const auto found = unfinished_.find(address);
  if (found == unfinished_.end()) return;
  drop_finished(found->second);
  if (std::ranges::count_if(found->second, is_silent) < core::limits::kMaxUnfinishedConnections) return;
  const auto place = std::ranges::find_if(found->second, is_silent);
  Connection& oldest = **place;
  found->second.erase(place);
  oldest.disconnect("its host has " + std::to_string(core::limits::kMaxUnfinishedConnections) +
                    " connections without a Connect command, and asks for another one");
}

// Neither silent connections nor hosts that do not authenticate take anybody's room (core::who_makes_room()). False:
// there is none.
bool Transport::end_an_unfinished_connection(const Rnic& rnic, bool is_admin, const std::string& newcomer) {
  for (const bool silent : {true, false}) {
    std::vector<Connection*> unfinished;
    std::vector<core::RoomHolder> holders;
    for (auto& [address, connections] : unfinished_) {
      drop_finished(connections);
      for (Connection* const one : connections) {
        if (is_silent(one) != silent || &one->rnic() != &rnic || (one->queue().qid == 0) != is_admin) continue;
        unfinished.push_back(one);
        holders.push_back({address, static_cast<int64_t>(one->number())});
      }
    }
    const auto maker = core::who_makes_room(holders);
    if (!maker) continue;
    Connection& oldest = *unfinished[maker->index];
    if (silent) {
      oldest.disconnect("its host sends no Connect command, and another host needs the room on the RNIC");
      return true;
    }
    core::Controller& controller = *oldest.queue().controller;
    if (!core::has_several(*maker, oldest.address(), newcomer) && !is_old(controller)) return false;
    controller.fail("its host does not authenticate, and another host needs the room on the RNIC");
    return true;
  }
  return false;
}

void Transport::forget_unfinished(const Connection& connection) {
  const auto found = unfinished_.find(connection.address());
  if (found == unfinished_.end()) return;
  std::erase(found->second, &connection);
  if (found->second.empty()) unfinished_.erase(found);
}

// DSCP without the congestion bits: those are the RNIC's.
std::optional<uint8_t> Transport::traffic_class_of(uint16_t port_id) const {
  for (const core::Port& port : target_.ports())
    if (port.id == port_id && port.dscp) return static_cast<uint8_t>(*port.dscp << 2);
  return std::nullopt;
}

void Transport::send_rejection(rdma_cm_id* id, RdmaCmStatus status) {
  const nvme::RdmaCmReject answer{.recfmt = 0, .sts = static_cast<uint16_t>(status)};
  rdma_reject(id, &answer, sizeof answer);
  ++counters_.rejected[answer.sts];
}

void Transport::reject(rdma_cm_id* id, RdmaCmStatus status, const std::string& why) {
  send_rejection(id, status);
  target_.event(refused("refused the connection of " + verbs::to_string(rdma_get_peer_addr(id)) + " to " +
                        verbs::to_string(rdma_get_local_addr(id)) + " (RDMA-CM status " +
                        std::to_string(static_cast<uint16_t>(status)) + "): " + why));
}

}  // namespace nvmf::rdma
