// The RDMA transport: listens on the target's ports, accepts queues, places them on reactors, and disconnects them.
// Control thread only. RNICs appear and disappear. A device is opened when a port's address belongs to it
// (open_device_of()); its owner prepares it, then puts it in service: from then on ports may listen on it. When the
// device disappears, its ports are lost (on_port_lost), its connections are drained, and on_device_drained says when it
// may be taken out of service and closed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "target/core/subsystem/target.h"
#include "transport/rdma/connect_rate.h"
#include "transport/rdma/connection.h"
#include "transport/rdma/deadline.h"
#include "transport/rdma/handshake.h"
#include "transport/rdma/host_shares.h"
#include "transport/rdma/remote_invalidate.h"
#include "transport/rdma/rnic.h"
#include "transport/rdma/transport_counters.h"
#include "transport/verbs/cm.h"

namespace nvmf::rdma {

class Transport final : private QueuePairOwner {
 public:
  // Works without an RNIC.
  Transport(boost::asio::io_context& io, core::Target& target, core::Mailbox& control,
            std::vector<ReactorSeat> reactors, const PollGroupOptions& options);
  ~Transport() override;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // All open devices.
  const std::vector<std::unique_ptr<Rnic>>& rnics() const { return rnics_; }
  // Runs what blocks on another thread; over on this one when that is done, throws what it throws.
  using Elsewhere = std::function<boost::asio::awaitable<void>(std::function<void()>)>;
  // What the operator says of devices, by name; the others' remote invalidate is to be proved. For devices that are
  // opened from now on.
  void set_remote_invalidate(std::map<std::string, RemoteInvalidate> by_device) {
    remote_invalidate_ = std::move(by_device);
  }
  // The devices that may serve although their transport is iWARP, by name. The memory into which they read the hosts'
  // data can be written to by each host that knows or guesses its key.
  void set_iwarp(std::set<std::string> devices) { iwarp_ = std::move(devices); }
  // Opens the device that the port's address belongs to, registers memory with it elsewhere, and tries its remote
  // invalidate; null when it is open already. One at a time. Throws VerbsError: there is no such device, or it cannot
  // be used.
  boost::asio::awaitable<Rnic*> open_device_of(core::Port port, Elsewhere elsewhere);
  // Whether a device can be opened, or is open, for the port.
  bool has_device_for(const core::Port& port);
  // Does nothing if the device is gone again.
  void put_in_service(Rnic& rnic);
  // After on_device_drained, when its poll groups are no longer in use. The device is not opened again before it has
  // been closed (is_closing()).
  void close(Rnic& rnic);
  // Of any device.
  bool is_closing() const { return !closing_.empty(); }

  // Runs `work` on another thread, for the kernel may block it for long, then `done` on this one. Unless it is set,
  // both run here. `work` that was given must have ended when the transport is destroyed.
  std::function<void(std::function<void()> work, std::function<void()> done)> destroy_elsewhere;

  std::function<void(uint16_t port_id)> on_port_lost;
  std::function<void(Rnic& rnic)> on_device_drained;

  // Starts to accept connections on an address of a port, which may have several. Throws VerbsError when the address
  // cannot be bound, or its device is not in service.
  void listen(const core::Port& port);

  // Loses the ports (on_port_lost) whose address belongs to another device by now.
  void close_moved_listeners();

  // Closes the port's listeners, if any, or the one on that address. Connections stay.
  void stop_listening(uint16_t port_id);
  void stop_listening(uint16_t port_id, const std::string& address);
  bool is_listening(uint16_t port_id) const { return !addresses_of(port_id).empty(); }
  // On which the port listens.
  std::vector<std::string> addresses_of(uint16_t port_id) const;
  // The devices of these addresses, each once.
  std::vector<const Rnic*> rnics_of(uint16_t port_id) const;
  // All connections, for reports.
  void visit(const std::function<void(const Connection&)>& visitor) const;
  // Whether any queue is connected with the table.
  bool uses(const core::IoNamespaceTable& table) const;

  // Stops to accept, ends every host's association (Controller::fail()), a few each turn; `drained` is called when the
  // last queue has closed, and its queue pair was destroyed.
  void stop(std::function<void()> drained);
  // After stop(): accepts again, where it is to listen. Connections that have not ended stay.
  void resume();
  // Whether any connection's commands have not ended: a disk may have them.
  bool has_commands() const;
  // Sets how fast hosts may connect from now on.
  void set_rate(const ConnectRate::Limits& limits) { rate_.set(limits); }
  uint64_t refused_by_rate() const { return rate_.refused(); }
  // Those whose queue pair is being destroyed included.
  size_t connections() const { return connections_.size() + ending_.size(); }
  const TransportCounters& counters() const { return counters_; }

  // Sends work that was posted for admin queues outside their poll groups' own turn.
  void turn_admin();

 private:
  struct Listener {
    uint16_t port_id;
    std::string address;
    verbs::CmId id;
  };

  // What open_device_of() has under way. Not its coroutine's: that goes after the channel.
  struct Opening {
    verbs::CmId device{};
    std::unique_ptr<Rnic> rnic{};
    std::unique_ptr<RemoteInvalidateTrial> trial{};
    ibv_context* context = nullptr;  // null: the device is gone again
  };

  rdma_event_channel* channel();
  // The device that has the address. Throws VerbsError: none has it, or the one that does has yet to be closed.
  verbs::CmId device_at(const sockaddr_storage& address);
  verbs::CmId device_of(const core::Port& port);
  static std::string device_name(ibv_context* context);
  std::string why_not_served(const ibv_device& device) const;
  boost::asio::awaitable<void> settle_remote_invalidate(const Elsewhere& elsewhere);
  boost::asio::awaitable<std::string> try_remote_invalidate(const Elsewhere& elsewhere);
  void wait_for_cm_event();
  void take_cm_events();
  void on_cm_event(const rdma_cm_event& event);
  void on_connect_request(const rdma_cm_event& event);
  std::optional<uint8_t> traffic_class_of(uint16_t port_id) const;
  // A connection request that has passed negotiate().
  struct Request {
    verbs::CmId id;
    Handshake handshake;
    uint16_t port_id;
    bool withdrawn = false;                                            // the host has given up
    std::optional<ConnectRate::Clock::time_point> wants_room_until{};  // none: it has not met a full RNIC
    bool awaits_group = false;                                         // that is being rebuilt, and so has no room
  };
  struct Refusal {
    nvme::RdmaCmStatus status;
    std::string why;
  };
  std::optional<Refusal> refusal_of(const Request& request);
  std::optional<ConnectRate::Clock::time_point> time_of(const Handshake& handshake, const std::string& address);
  void accept(Request& request);
  void make_connection(Request& request);
  bool may_wait_for_room(Request& request);
  void wait(ConnectRate::Clock::time_point until, Request& request);
  void give_room(const Rnic& rnic, bool is_admin);
  void give_rebuilt_group(const Rnic& rnic);
  void await_next_request();
  void withdraw(const rdma_cm_id* id);
  void refuse_waiting(const std::function<bool(const Request&)>& is_meant, const std::string& why);
  void make_room_for(const std::string& address);
  bool end_an_unfinished_connection(const Rnic& rnic, bool is_admin, const std::string& newcomer);
  void forget_unfinished(const Connection& connection);
  void send_rejection(rdma_cm_id* id, nvme::RdmaCmStatus status);
  // The same, and logs the reason.
  void reject(rdma_cm_id* id, nvme::RdmaCmStatus status, const std::string& why);
  void on_closing(Connection& connection, const std::string& reason);
  void on_failed(Connection& connection, const std::string& reason);
  void on_device_event(Rnic& rnic, const ibv_async_event& event);
  static Connection* connection_with(const ibv_qp* qp);
  void on_group_broken(Rnic& rnic, PollGroup* group, const std::string& what);
  // Connections that end together: a few each turn, the oldest first.
  struct Ending {
    const Rnic* rnic;                      // null: of all RNICs
    std::function<void(Connection&)> end;  // is called for each of that RNIC
    std::function<void()> then;
    uint64_t next = 0;  // number of a connection
    uint64_t last = 0;  // none that comes later is meant
  };
  void end_connections(Ending ending);
  void end_some_connections();
  bool end_some_connections(Ending& ending);
  void tell_if_stopped();
  void rebuild_if_empty(Rnic& rnic, PollGroup& group);
  void await_stalled_hosts();
  void on_device_gone(Rnic& rnic);
  void on_connections_lost(Rnic& rnic);
  void lose_listeners(const std::function<bool(const Listener&)>& is_lost);
  void report_if_drained(Rnic& rnic);
  bool is_leaving(const std::string& name) const;  // a device of that name
  Rnic* find(ibv_context* context);
  HandshakeLimits limits_of(const Rnic& rnic) const;
  Rnic* find(const PollGroup& group);
  // Null when the connection is over.
  Connection* find(const QueuePair& queue_pair) const;
  void tell_of_device(core::Severity severity, std::string message);
  void queue_pair_failed(QueuePair& queue_pair, const std::string& reason) override;
  void queue_pair_abandoned(QueuePair& queue_pair) override;
  void queue_pair_not_flushed(QueuePair& queue_pair) override;
  void queue_pair_drained(QueuePair& queue_pair) override;
  void queue_pair_dismissed(QueuePair& queue_pair) override;
  void destroyed(Connection& connection);
  void group_left(PollGroup& group) override;
  void group_rebuilt(PollGroup& group, const std::string& failure) override;

  boost::asio::io_context& io_;
  core::Target& target_;
  core::Mailbox& control_;
  const std::vector<ReactorSeat> reactors_;
  const PollGroupOptions options_;
  verbs::CmChannel channel_;  // null until there has been a device
  std::optional<WatchedDescriptor> cm_events_;
  Continuation more_cm_events_;
  std::vector<std::unique_ptr<Rnic>> rnics_;
  std::unordered_set<const Rnic*> in_service_;
  std::unordered_set<Rnic*> draining_;  // devices that are gone; their listeners are closed
  std::multiset<std::string> closing_;  // names of those whose objects are being destroyed elsewhere
  Opening opening_;
  std::map<std::string, RemoteInvalidate> remote_invalidate_;  // by the name of the device
  std::vector<Listener> listeners_;
  ConnectRate rate_;
  // By the time at which they may come, or until which they wait for room.
  std::multimap<ConnectRate::Clock::time_point, Request> waiting_;
  Deadline next_request_;  // of these
  HostShares shares_;
  // By number, the oldest first: what is done for each of them is done in the same order in each run of a simulation.
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<uint64_t, std::unique_ptr<Connection>> ending_;  // whose queue pairs are being destroyed
  uint64_t last_number_ = 0;                                // of a connection
  std::deque<Ending> endings_;                              // take turns
  Continuation more_endings_;
  // By host address, the oldest first: those that may have no Connect command yet, or whose host may have to
  // authenticate.
  std::map<std::string, std::deque<Connection*>> unfinished_;
  Deadline stalled_hosts_;  // the next look at them; set while there are connections
  bool awaits_stalled_hosts_ = false;
  TransportCounters counters_;
  std::function<void()> drained_;
  bool stopping_ = false;
  bool turning_ = false;
  std::set<std::string> iwarp_;  // the names of devices
};

}  // namespace nvmf::rdma
