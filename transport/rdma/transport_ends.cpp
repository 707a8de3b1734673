// The ends of connections, of poll groups whose queues have failed, and of RNICs.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/subsystem/async_event.h"
#include "target/core/subsystem/controller.h"
#include "transport/rdma/transport.h"

namespace nvmf::rdma {
namespace {

using core::EventKind;
using core::Severity;

constexpr unsigned kEndingsPerTurn = 16;  // connections looked at

std::string description(const Connection& connection) {
  const core::Controller* const controller = connection.queue().controller;
  return controller ? controller->description() : connection.peer();
}

// Of a host: with its name and the subsystem's when they are known.
core::Event host_event(const Connection& connection, std::string message) {
  const core::Controller* const controller = connection.queue().controller;
  core::Event event{.kind = EventKind::Disconnect, .message = std::move(message)};
  event.anybodys = controller == nullptr || !controller->is_admitted() || !controller->is_admitted(connection.queue());
  if (controller != nullptr) {
    event.subsystem = controller->subsystem().nqn();
    event.host = core::shown(controller->host().nqn);
  }
  return event;
}

}  // namespace

// The end of a connection --------------------------------------------------------------------------------------------

// One line when a host leaves, however many queues it has.
void Transport::on_closing(Connection& connection, const std::string& reason) {
  core::Queue& queue = connection.queue();
  if (queue.qid == 0) target_.event(host_event(connection, "disconnected " + description(connection) + ": " + reason));
  core::drop_parked(queue);
}

// An I/O queue that fails while its controller lives has a line of its own.
void Transport::on_failed(Connection& connection, const std::string& reason) {
  const core::Queue& queue = connection.queue();
  const bool host_stays = queue.controller && !queue.controller->is_closing();
  if (queue.qid != 0 && host_stays && !connection.is_closing())
    target_.event(host_event(connection, "queue " + std::to_string(queue.qid) + " of " + description(connection) +
                                             " has failed: " + reason));
  connection.lost(reason);
}

Connection* Transport::find(const QueuePair& queue_pair) const {
  const auto found = connections_.find(queue_pair.number);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Transport::queue_pair_failed(QueuePair& queue_pair, const std::string& reason) {
  ++counters_.failed;
  if (queue_pair.stall) ++counters_.stalled[static_cast<size_t>(*queue_pair.stall)];
  Connection* const connection = find(queue_pair);
  if (connection == nullptr) return;
  Rnic& rnic = connection->rnic();
  if (queue_pair.invalidate_failed && rnic.distrust_remote_invalidate())
    tell_of_device(Severity::Warning, rnic.name() +
                                          " failed to SEND with invalidate, although it claims to support it: from now "
                                          "on hosts invalidate their keys themselves");
  on_failed(*connection, reason);
}

void Transport::queue_pair_abandoned(QueuePair& queue_pair) {
  if (Connection* const connection = find(queue_pair)) connection->await_flush();
}

void Transport::queue_pair_not_flushed(QueuePair& queue_pair) {
  Connection* const connection = find(queue_pair);
  if (connection == nullptr) return;
  std::string message = connection->rnic().name() + " has not completed the work of " +
                        std::to_string(queue_pair.unflushed) + " commands of queue " +
                        std::to_string(connection->queue().qid) + " of " + description(*connection) + " within " +
                        std::to_string(core::limits::kFlushTimeoutMs) + " ms after their connection failed: ";
  if (queue_pair.was_reset) {
    counters_.unflushed += queue_pair.unflushed;
    message += "the target has ended them";
  } else {
    message +=
        "its queue pair cannot be reset, so they keep their memory; the target tries again. If this lasts, reset "
        "the RNIC, or restart the target";
    connection->await_flush();
  }
  tell_of_device(Severity::Warning, std::move(message));
}

void Transport::queue_pair_drained(QueuePair& queue_pair) {
  if (Connection* const connection = find(queue_pair)) connection->drained();
}

// The core knows its queue no more; what the connection has of the RNIC and of the poll group stays its own until the
// queue pair is destroyed.
void Transport::queue_pair_dismissed(QueuePair& queue_pair) {
  const auto found = connections_.find(queue_pair.number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  ending_.emplace(connection.number(), std::move(found->second));
  connections_.erase(found);
  forget_unfinished(connection);
  target_.queue_closed(connection.queue());
  const std::function<void()> work = connection.end_of_queue_pair();
  if (destroy_elsewhere) return destroy_elsewhere(work, [this, &connection] { destroyed(connection); });
  work();
  destroyed(connection);
}

void Transport::destroyed(Connection& connection) {
  Rnic& rnic = connection.rnic();
  PollGroup& group = connection.group();
  const bool is_admin = connection.queue().qid == 0;
  ending_.erase(connection.number());
  if (stopping_ && connections() == 0) return tell_if_stopped();
  rebuild_if_empty(rnic, group);
  give_room(rnic, is_admin);
  report_if_drained(rnic);
}

// Once a second, of all groups, while there are connections.
void Transport::await_stalled_hosts() {
  awaits_stalled_hosts_ = !connections_.empty();
  if (!awaits_stalled_hosts_) return;
  stalled_hosts_.set(std::chrono::milliseconds(options_.stall_check_ms), [this] {
    for (const auto& rnic : rnics_)
      if (!rnic->is_leaving()) rnic->visit([](PollGroup& group) { group.find_stalled_hosts(); });
    await_stalled_hosts();
  });
}

// It is told of no queue pair that has been destroyed.
Connection* Transport::connection_with(const ibv_qp* qp) { return Connection::unless_dismissed(qp->qp_context); }

void Transport::on_device_event(Rnic& rnic, const ibv_async_event& event) {
  const std::string what = ibv_event_type_str(event.event_type);
  switch (event.event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
      if (Connection* const connection = connection_with(event.element.qp))
        on_failed(*connection, "device event " + what);
      return;
    case IBV_EVENT_QP_LAST_WQE_REACHED:
      if (Connection* const connection = connection_with(event.element.qp)) connection->last_receive_reached();
      return;
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
      return;
    case IBV_EVENT_CQ_ERR:
      return on_group_broken(rnic, rnic.group_of(event.element.cq), what);
    case IBV_EVENT_SRQ_ERR:
      return on_group_broken(rnic, rnic.group_of(event.element.srq), what);
    case IBV_EVENT_DEVICE_FATAL:
      return on_device_gone(rnic);
    default:
      tell_of_device(Severity::Warning, rnic.name() + ": " + what);
  }
}

// The end of a poll group ---------------------------------------------------------------------------------------------

// Its completions are lost: none of its connections can go on.
void Transport::on_group_broken(Rnic& rnic, PollGroup* group, const std::string& what) {
  if (group == nullptr || group->takes_no_queue_pairs() || rnic.is_leaving()) return;
  tell_of_device(Severity::Warning,
                 rnic.name() + ": " + what + ": the " + std::to_string(group->queue_pairs()) +
                     " queues that depend on the failed queue are disconnected, and the failed queue is created again; "
                     "the hosts reconnect");
  group->close_to_queue_pairs();
  const auto end = [group, reason = "device event " + what](Connection& connection) {
    if (&connection.group() == group) connection.lost(reason);
  };
  end_connections({.rnic = &rnic, .end = end, .then = [group] { group->leave(); }});
}

void Transport::end_connections(Ending ending) {
  ending.last = last_number_;
  endings_.push_back(std::move(ending));
  if (endings_.size() == 1) end_some_connections();
}

// The endings take turns.
void Transport::end_some_connections() {
  std::function<void()> then;
  if (end_some_connections(endings_.front()))
    endings_.push_back(std::move(endings_.front()));
  else
    then = std::move(endings_.front().then);
  endings_.pop_front();
  if (!endings_.empty())
    more_endings_.post([this] {
      end_some_connections();
      turn_admin();
    });
  if (then) then();
  if (endings_.empty()) tell_if_stopped();
}

// False: all have been told to end.
bool Transport::end_some_connections(Ending& ending) {
  for (unsigned looked_at = 0; looked_at < kEndingsPerTurn; ++looked_at) {
    const auto next = connections_.lower_bound(ending.next);
    if (next == connections_.end() || next->first > ending.last) return false;
    Connection& connection = *next->second;
    ending.next = connection.number() + 1;
    if (ending.rnic == nullptr || ending.rnic == &connection.rnic()) ending.end(connection);
  }
  return true;
}

Rnic* Transport::find(const PollGroup& group) {
  const auto found = std::ranges::find_if(rnics_, [&](const auto& rnic) { return rnic->context() == group.context(); });
  return found == rnics_.end() ? nullptr : found->get();
}

void Transport::group_left(PollGroup& group) {
  Rnic* const rnic = find(group);
  if (rnic == nullptr) return;
  rebuild_if_empty(*rnic, group);
  report_if_drained(*rnic);
}

void Transport::rebuild_if_empty(Rnic& rnic, PollGroup& group) {
  if (rnic.is_leaving() || group.queue_pairs() != 0) return;
  if (group.takes_no_queue_pairs())
    group.rebuild();
  else if (group.may_have_lost_most_slots())
    group.leave();  // group_left() comes here again
}

void Transport::group_rebuilt(PollGroup& group, const std::string& failure) {
  Rnic* const rnic = find(group);
  if (rnic == nullptr) return;
  if (rnic->is_leaving()) return report_if_drained(*rnic);
  if (failure.empty()) {
    tell_of_device(Severity::Info, rnic->name() + ": the queues of a reactor were created again");
    return give_rebuilt_group(*rnic);
  }
  tell_of_device(
      Severity::Warning,
      rnic->name() + ": the queues of a reactor cannot be created again, so fewer hosts can connect: " + failure);
}

// The end of a device ------------------------------------------------------------------------------------------------

// Reported by the device, and again on each of its ids.
void Transport::on_device_gone(Rnic& rnic) {
  if (rnic.is_leaving()) return;
  in_service_.erase(&rnic);
  tell_of_device(Severity::Warning,
                 "the RNIC " + rnic.name() +
                     " was removed: its hosts are disconnected; its ports listen again when the device is back");
  rnic.begin_to_leave();
  end_connections({.rnic = &rnic,
                   .end = [](Connection& connection) { connection.lost("the RNIC was removed"); },
                   .then = [this, &rnic] { on_connections_lost(rnic); }});
}

void Transport::on_connections_lost(Rnic& rnic) {
  rnic.leave();
  // Only after the event has been acknowledged: it may belong to a listener.
  boost::asio::post(io_, [this, &rnic] {
    lose_listeners([&rnic](const Listener& listener) { return listener.id->verbs == rnic.context(); });
    refuse_waiting([&rnic](const Request& request) { return request.id->verbs == rnic.context(); },
                   "the RNIC was removed");
    draining_.insert(&rnic);
    report_if_drained(rnic);
  });
}

void Transport::lose_listeners(const std::function<bool(const Listener&)>& is_lost) {
  std::vector<uint16_t> lost;
  std::erase_if(listeners_, [&](const Listener& listener) {
    const bool goes = is_lost(listener);
    if (goes) lost.push_back(listener.port_id);
    return goes;
  });
  for (const uint16_t port_id : lost) on_port_lost(port_id);
}

void Transport::report_if_drained(Rnic& rnic) {
  if (stopping_ || !draining_.contains(&rnic)) return;
  if (rnic.has_queue_pairs() || rnic.is_changing()) return;
  draining_.erase(&rnic);
  on_device_drained(rnic);
}

bool Transport::is_leaving(const std::string& name) const {
  return closing_.contains(name) ||
         std::ranges::any_of(rnics_, [&](const auto& rnic) { return rnic->is_leaving() && rnic->name() == name; });
}

}  // namespace nvmf::rdma
