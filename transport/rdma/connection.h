// The connection of one queue, from the host's request to the end of the drain. Control thread only; the queue pair in
// it belongs to its poll group between adopt() and the drained message.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "target/core/datapath/queue.h"
#include "transport/rdma/deadline.h"
#include "transport/rdma/handshake.h"
#include "transport/rdma/host_shares.h"
#include "transport/rdma/poll_group.h"
#include "transport/rdma/rnic.h"
#include "transport/verbs/cm.h"

namespace nvmf::rdma {

class Connection;

// Where a connection belongs. All of it outlives the connection.
struct ConnectionOptions {
  boost::asio::io_context& io;
  core::Target& target;
  core::Mailbox& control;
  Rnic& rnic;
  HostShares& shares;
  uint64_t number;  // no two connections have the same; later ones have higher numbers
  uint16_t port_id;
  // What ends the connection, said once.
  std::function<void(Connection&, const std::string& reason)> on_closing;
};

class Connection final : public core::QueueLink {
 public:
  // Reserves room in a poll group and makes the queue pair. Takes `id` unless it throws: NoRoom, VerbsError.
  Connection(verbs::CmId& id, const Handshake& handshake, const ConnectionOptions& options);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The RNIC or the poll group cannot take one more queue of this depth.
  struct NoRoom : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  // The connection that the context of a verbs object is, or null. Null also when the connection is over: its queue has
  // ended, and only its queue pair is left.
  static Connection* unless_dismissed(void* context) {
    auto* const connection = static_cast<Connection*>(context);
    return connection != nullptr && connection->is_dismissed() ? nullptr : connection;
  }

  // Accepts the host's request; the first capsule may arrive at once. `traffic_class`: of the packets to the host;
  // none: the one that the host asks for. Throws VerbsError.
  void accept(std::optional<uint8_t> traffic_class);
  // Closes it when no Connect command has been completed by then.
  void expect_connect_command(uint32_t timeout_ms);

  // The peer or the device has ended the connection: no host waits for answers.
  void lost(const std::string& reason);

  // Its queue pair has failed: what the RNIC does not flush within limits::kFlushTimeoutMs ends without it.
  void await_flush();
  // Its queue pair is drained: hangs up, and has the queue pair dismissed when the RNIC takes no more receive slots for
  // it: when that says so (last_receive_reached()), or after limits::kLastReceiveTimeoutMs.
  void drained();
  void last_receive_reached();
  // When it is dismissed: destroys its queue pair, then its id. The kernel may take its time for that, so this may run
  // on any thread, while the connection lives. After it only the destructor may be called.
  std::function<void()> end_of_queue_pair();
  bool is_dismissed() const { return dismissed_; }
  // Neither disks nor the RNIC have any of its commands.
  bool is_drained() const { return drained_; }

  // core::QueueLink. Answers have limits::kLastAnswersTimeoutMs to leave.
  void disconnect(const std::string& reason) override;
  void abort(uint16_t cid, std::function<void(bool aborted)> done) override {
    drained_ ? done(false) : group_.abort(queue_pair_, cid, std::move(done));
  }
  void abort_all(uint32_t nsid, std::function<void()> done) override {
    drained_ ? done() : group_.abort_all(queue_pair_, nsid, std::move(done));
  }
  void quiesce(std::function<void()> done) override {
    drained_ ? done() : group_.quiesce(queue_pair_, std::move(done));
  }
  bool is_closing() const override { return closing_; }
  uint32_t reserve_io_queues(uint32_t wanted) override;
  const core::IoNamespaceTable* io_namespaces(const core::Subsystem& subsystem) override {
    return group_.namespaces(subsystem);
  }
  uint16_t port_id() const override { return port_id_; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_address() const override { return local_address_; }

  uint64_t number() const { return queue_pair_.number; }
  // The host's address, without its port.
  const std::string& address() const { return address_; }
  core::Queue& queue() { return queue_; }
  const core::Queue& queue() const { return queue_; }
  QueuePair& queue_pair() { return queue_pair_; }
  const QueuePair& queue_pair() const { return queue_pair_; }
  PollGroup& group() { return group_; }
  Rnic& rnic() const { return rnic_; }

 private:
  void make_room();
  void create_queue_pair();
  void abandon();
  void dismiss();

  verbs::CmId id_;
  Rnic& rnic_;
  PollGroup& group_;
  HostShares& shares_;
  uint16_t port_id_;
  std::string peer_;
  std::string address_;
  std::string local_address_;
  std::function<void(Connection&, const std::string& reason)> on_closing_;
  core::Queue queue_;
  QueuePair queue_pair_;
  Deadline deadline_;                // of the Connect command, the last answers, the flush, the last receive
  uint32_t reserved_io_queues_ = 0;  // of an admin queue's controller, in rnic_
  bool closing_ = false;
  bool abandoned_ = false;
  bool drained_ = false;
  bool last_receive_reached_ = false;
  bool dismissed_ = false;
};

}  // namespace nvmf::rdma
