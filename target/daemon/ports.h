// Ports and their RNICs, which appear and disappear: at boot addresses and devices come late, and drivers may be
// reloaded later. A port waits until both are there, at the start as well as later. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "target/core/subsystem/target.h"
#include "target/daemon/changes.h"
#include "target/daemon/events.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/storage.h"
#include "target/daemon/worker_thread.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Ports {
 public:
  using Task = boost::asio::awaitable<void>;
  // Attempts to bring a port into service: a failure of the first one is logged, later failures are not.
  enum class Attempt : uint8_t { First, Later };

  Ports(boost::asio::io_context& io, core::Target& target, rdma::Transport& transport, Storage& storage,
        PeerMemories& peer_memories, Changes& changes, Events& events);

  // RNICs have come into service, so more namespaces may be servable. Part of a change.
  std::function<Task()> on_devices_came;

  // The addresses by which hosts reach a wildcard port have changed.
  std::function<void()> on_addresses_changed;

  // A port has begun to listen on an address, or has stopped.
  std::function<void()> on_listening_changed;

  // Opens the RNICs of the ports and puts them in service; true when there was a new one. Part of a change.
  boost::asio::awaitable<bool> open_devices_of(std::vector<core::Port> ports, Attempt attempt);
  // The same, then listens on the ports. Ports whose address or device is missing are tried again. Part of a change.
  Task come_up(std::vector<core::Port> ports, Attempt attempt);
  // Closes the port, and removes it from the target.
  void remove(uint16_t port_id);

  // "listening", "waiting", "draining" (it has controllers still) or "drained".
  const char* state_of(const core::Port& port) const;
  // Why a port waits, as the log said it; empty for any other state.
  std::string reason_of(uint16_t port_id) const;
  // The addresses on which a port listens.
  std::vector<std::string> addresses_of(uint16_t port_id) const { return transport_.addresses_of(port_id); }
  // See AdminActions. Hosts that use ANA are first told that the port ceases to be a way to their namespaces, and have
  // kMoveTimeout to use another; then they are disconnected.
  std::optional<std::vector<uint16_t>> drain(std::optional<uint16_t> port);
  std::optional<std::vector<uint16_t>> resume(std::optional<uint16_t> port);

  // Repeats the self-test of the CMB of the SSD at `ssd`, or of every CMB that namespaces use (empty), with each RNIC.
  // Hosts' commands may use the CMBs meanwhile; what they use then is what the result allows. Throws config::EditError
  // when no namespace uses that CMB, and Refused.
  Task prove(std::string ssd);

  // The daemon ends, and its successor listens on the same ports: no host may connect any more, and those that use ANA
  // are told to use other paths. Over when they have read it, at the latest after kMoveTimeout.
  Task move_hosts();

  // After move_hosts(): the daemon goes on. Ports that are not drained listen again.
  void serve_on();

  // Stops looking at ports, because the daemon shuts down.
  void stop() { next_look_.cancel(); }

 private:
  Task put_in_service(const std::vector<rdma::Rnic*>& rnics);
  Task take_out_of_service(rdma::Rnic& rnic);
  // The port, or those that a wildcard stands for and that have an RNIC.
  std::vector<core::Port> with_device(const core::Port& port);
  void listen(const core::Port& port, Attempt attempt);
  void listen_everywhere(const core::Port& port, Attempt attempt);
  bool is_heard_everywhere(const core::Port& port);
  // Wildcards stop listening on addresses that the machine has no more, or that another port has for itself.
  void let_go_of_addresses();
  void tell_addresses(const core::Port& port);  // to target_
  void stop_listening(uint16_t port_id);
  // Tells the hosts of the ports that use ANA: change, then inaccessible. Each step is over when they have read it,
  // both after kMoveTimeout at the latest. Ports that are resumed meanwhile are left out.
  Task withdraw(std::vector<uint16_t> ports, std::function<bool(uint16_t)> is_resumed);
  // Of the ports that this call of drain() has drained, unless they are resumed meanwhile.
  Task disconnect_hosts(std::vector<uint16_t> ports, uint64_t drain);
  void on_port_lost(uint16_t port_id);
  // Once a second, for the kernel tells nobody when an address moves to another device.
  void look_again();
  Task on_ports_ready();
  // Hosts have connected to it at a path MTU that was not tried with some CMB.
  bool wants_self_test(const rdma::Rnic& rnic) const;
  Task repeat_self_tests();

  boost::asio::io_context& io_;
  core::Target& target_;
  rdma::Transport& transport_;
  Storage& storage_;
  PeerMemories& peer_memories_;
  Changes& changes_;
  Events& events_;
  WorkerThread worker_;  // registers memory with RNICs
  boost::asio::steady_timer next_look_;
  std::vector<core::Port> unheard_;                  // ports whose address or RNIC is missing
  std::map<uint16_t, std::string> reasons_;          // why each of them waits
  std::set<std::pair<uint16_t, std::string>> deaf_;  // addresses on which a wildcard failed to listen, which was logged
  std::map<uint16_t, uint64_t> drained_;  // by which call of drain(), for one may be resumed and drained again
  uint64_t last_drain_ = 0;
  bool coming_up_ = false;  // a change is under way, or waits, that brings up ports
  bool proving_ = false;    // the same, that repeats self-tests
};

}  // namespace nvmf::daemon
