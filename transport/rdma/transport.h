// The RDMA transport: listens on the target's ports, accepts queues, places them on reactors, and sees them out.
// Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "target/core/target.h"
#include "transport/rdma/connect_rate.h"
#include "transport/rdma/connection.h"
#include "transport/rdma/handshake.h"
#include "transport/rdma/rnic.h"
#include "transport/rdma/transport_counters.h"
#include "transport/verbs/cm.h"

namespace nvmf::rdma {

class Transport final : private QueuePairOwner {
 public:
  // Opens every RDMA device of the machine and adds their poll groups to the reactors, which must not run yet.
  // Throws VerbsError.
  Transport(boost::asio::io_context& io, core::Target& target, core::Mailbox& control,
            std::vector<ReactorSeat> reactors, const PollGroupOptions& options);
  ~Transport() override;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  const std::vector<std::unique_ptr<Rnic>>& rnics() const { return rnics_; }

  // Starts to accept connections on a port. Throws VerbsError when its address cannot be bound.
  void listen(const core::Port& port);

  // Closes the port's listener, where there is one. Its connections stay.
  void stop_listening(uint16_t port_id);
  bool is_listening(uint16_t port_id) const;
  // Every connection there is, for reports.
  void visit(const std::function<void(const Connection&)>& visitor) const;
  // Whether a queue was connected with the table.
  bool uses(const core::IoNamespaceTable& table) const;

  // Stops to accept, disconnects every host; `drained` is called when the last queue has been seen out.
  void stop(std::function<void()> drained);
  // How fast hosts may come from now on.
  void set_rate(const ConnectRate::Limits& limits) { rate_.set(limits); }
  uint64_t refused_by_rate() const { return rate_.refused(); }
  size_t connections() const { return connections_.size(); }
  const TransportCounters& counters() const { return counters_; }

  // Work for admin queues was posted outside their poll groups' own turn: sends it.
  void turn_admin();

 private:
  struct Listener {
    uint16_t port_id;
    verbs::CmId id;
  };

  void wait_for_cm_event();
  void on_cm_event(const rdma_cm_event& event);
  void on_connect_request(const rdma_cm_event& event);
  std::optional<uint8_t> traffic_class_of(uint16_t port_id) const;
  bool may_come_now(const Handshake& handshake, const std::string& address);
  bool has_admin_queue_of(const std::string& address) const;
  void send_rejection(rdma_cm_id* id, nvme::RdmaCmStatus status);
  // The same, and says why.
  void reject(rdma_cm_id* id, nvme::RdmaCmStatus status, const std::string& why);
  void on_closing(Connection& connection, const std::string& reason);
  void on_device_event(Rnic& rnic, const ibv_async_event& event);
  Rnic* find(ibv_context* context);
  HandshakeLimits limits_of(const Rnic& rnic) const;
  void queue_pair_failed(QueuePair& queue_pair, ibv_wc_status status) override;
  void queue_pair_drained(QueuePair& queue_pair) override;

  boost::asio::io_context& io_;
  core::Target& target_;
  core::Mailbox& control_;
  verbs::DeviceList devices_;
  verbs::CmChannel channel_;
  std::vector<std::unique_ptr<Rnic>> rnics_;
  WatchedDescriptor cm_events_;
  std::vector<Listener> listeners_;
  ConnectRate rate_;
  std::unordered_map<QueuePair*, std::unique_ptr<Connection>> connections_;
  TransportCounters counters_;
  std::function<void()> drained_;
  bool stopping_ = false;
  bool turning_ = false;
};

}  // namespace nvmf::rdma
