// The target: ports, subsystems with their namespaces and allowed hosts, controllers. Control thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/core/datapath/queue.h"
#include "target/core/subsystem/dhchap.h"
#include "target/core/subsystem/event.h"
#include "target/core/subsystem/failed_attempts.h"
#include "target/core/subsystem/host_traffic.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target_counters.h"
#include "target/core/subsystem/target_limits.h"

namespace nvmf::core {

class HealthSource;
class ReservationStore;

// An address that hosts connect to, as in the discovery log.
struct Port {
  uint16_t id = 0;
  std::string address;   // TRADDR, or of a wildcard 0.0.0.0 or ::
  uint16_t service = 0;  // TRSVCID
  bool ipv6 = false;
  std::optional<uint8_t> dscp{};     // of packets to hosts (RFC 2474); none: the one that the host asks for
  bool wildcard = false;             // hosts reach it by every address of its family that an RNIC has
  std::vector<std::string> heard{};  // of a wildcard: these addresses, now
};

// Another discovery service, which hosts are referred to.
struct Referral {
  Port port;        // PORTID, TRADDR and TRSVCID of the other service
  std::string nqn;  // of its discovery subsystem
};

struct TargetOptions {
  uint32_t max_transfer_bytes = 1u << 20;  // MDTS; power of two, kMinTransferBytes to kMaxTransferBytes (limits.h)
  uint16_t max_queue_depth = 128;          // entries of an I/O queue
  uint16_t max_io_queues = 64;             // per controller
  uint32_t in_capsule_bytes = 4096;        // of I/O queues
  std::string discovery_nqn{};             // the discovery subsystem's own, besides the well-known one; empty: none
};

class Target {
 public:
  using Clock = std::chrono::steady_clock;

  // Throws std::invalid_argument when an option is out of its range.
  explicit Target(const TargetOptions& options);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  const TargetOptions& options() const;
  // Random, drawn at its start: tells apart the targets that serve one subsystem, and this one's life from former ones
  // (ControllerInstance).
  uint32_t mark() const;
  // Present controllers and queues stay.
  void set_limits(const TargetLimits& limits);
  const TargetLimits& limits() const;

  // Throws std::invalid_argument with a message for the operator.
  void add_port(Port port);
  void add_referral(Referral referral);
  Subsystem& add_subsystem(SubsystemOptions options);

  // For connections from now on.
  void set_dscp(uint16_t port_id, std::optional<uint8_t> dscp);
  // By which addresses hosts reach a wildcard from now on; discovery shows them. False: they are the same as before.
  bool set_heard(uint16_t id, std::vector<std::string> addresses);
  // Hosts that are connected through it are disconnected.
  void remove_port(uint16_t id);
  // Before the hosts of a port are disconnected: subsystems withdraw it step by step (Subsystem::withdraw_port()), or
  // do so no more.
  void withdraw_port(uint16_t id, Withdrawal step);
  // Each host that is connected through a withdrawn port and uses ANA has read the state of its namespaces there.
  bool have_hosts_moved(uint16_t port_id) const;
  // Controllers on a port, those of the discovery subsystem and of subsystems that were removed included.
  size_t controllers_on(uint16_t port_id) const;
  // Its hosts are disconnected, and no host finds it any more. It is destroyed with its last controller.
  void remove_subsystem(Subsystem& subsystem);
  // A subsystem of that name has been removed since, and not added again; of the last kMaxRemovedSubsystems.
  bool was_removed(const std::string& nqn) const;

  const std::vector<Port>& ports() const;
  const std::vector<Referral>& referrals() const;
  // The discovery subsystem included, by both its names; null when there is none.
  Subsystem* find_subsystem(const std::string& nqn);
  // Whether a subsystem has a controller of that identifier on that port.
  bool has_controller(uint16_t cntlid, uint16_t port_id) const;
  // Controllers of hosts of that address (host_identity.h) that must authenticate and have not.
  size_t unauthenticated_controllers(const std::string& address) const;
  // Another host that has authenticated with the host's identifier, which is that host's (host_id_owners.h); none:
  // nobody.
  std::optional<std::string> other_owner_of_id(const HostIdentity& host) const;
  // For the core only: a host has authenticated on an NVM subsystem. Hosts that need not authenticate and use its
  // identifier are disconnected.
  void id_authenticated(const HostIdentity& host);
  // For the core only: a subsystem has other hosts than before. What follows for the whole target is done in the next
  // expire(), once however many subsystems have changed.
  void hosts_changed();
  // A controller of the host on the subsystem of that name, also one that has been removed since, is closing, and its
  // commands may still change the medium.
  bool has_former_controller(const std::string& nqn, const HostIdentity& host) const;
  // NVM subsystems.
  const std::vector<std::unique_ptr<Subsystem>>& subsystems() const;

  // Called by the transport: this queue's connection has ended and no command of it is outstanding. When an admin queue
  // closes, its controller's I/O queues are ended (Controller::fail()); with the last of them the controller goes. The
  // queue is not used afterwards.
  void queue_closed(Queue& queue);

  // I/O queues from their Connect to the end of their connection, also when their controller has ended before.
  const std::vector<Queue*>& io_queues() const;
  // The core's own: a host without a proper NQN has connected. True: for the first time.
  bool note_odd_host();
  // For the core only: an I/O queue has been connected.
  void queue_connected(Queue& queue);

  // For the core only: the state that namespaces have in all subsystems.
  DispersedNamespaces& dispersed_namespaces();

  // Time-outs of keep-alive timers, of commands that must end, of Connects that wait and of change states of ANA
  // groups: expires what is due and returns when to look again (none: no timer runs). What would take long is done in
  // pieces: it returns `now` while there is more.
  std::optional<Clock::time_point> expire(Clock::time_point now);
  // Called when a deadline appears that is earlier than what expire() returned last.
  std::function<void(Clock::time_point)> on_earlier_deadline;

  // What is worth an operator's attention.
  using Severity = core::Severity;
  std::function<void(const Event&)> on_event;

  // Since the start.
  TargetCounters counters;

  // Traffic by host.
  const HostTraffic& host_traffic() const;

  // The store of persistent reservations, set before namespaces are added; null: reservations cannot persist.
  ReservationStore* reservation_store = nullptr;
  // The store of write protection by hosts; null: hosts cannot protect namespaces.
  WriteProtectionStore* write_protection_store = nullptr;
  // Flushes a namespace's data to stable media, then calls `done` on the control thread. Null: no device has a volatile
  // cache.
  std::function<void(const Subsystem&, uint32_t nsid, std::function<void(Status)> done)> flush_namespace;

  // What authentication needs; null: hosts that must authenticate cannot connect.
  DhchapCrypto* dhchap_crypto = nullptr;
  FailedAttempts failed_attempts;
  // For the core only: SEQNUM of the next challenge, never 0.
  uint32_t next_authentication_seqnum();

  // The source of the devices' health; null: there is none.
  const HealthSource* health_source = nullptr;

  // For the core only: reports to on_event (what hosts have sent: as shown() makes it), and to on_earlier_deadline if
  // the deadline is earlier.
  void event(const Event& event) const;
  void deadline_set(Clock::time_point deadline);
  // A controller that is closing has become quiet: Connects may have waited for it, and it may be over.
  void controller_is_quiet(const Controller& controller);
  // A Connect that waits for its host's former controller. `attempt` is called when that may have gone and, `last`,
  // when it has waited for limits::kConnectWaitMs; false: it waits on. It ends the request otherwise, never from in
  // here.
  void wait_to_connect(Request& request, bool (*attempt)(Request& request, bool last));
  // The connection of an admin queue ends: its Connect, if it waits, is made for the last time.
  void drop_waiting_connect(const Queue& queue);
  void discovery_changed();
  // Changes with every change of the discovery log: GENCTR of the log page.
  uint64_t generation() const;

 private:
  struct State;

  // The removed ones that still have controllers included.
  void for_each_subsystem(const std::function<void(Subsystem&)>& action) const;
  bool has_keys(const std::string& hostnqn) const;
  void settle_hosts();
  void remove_if_over(const Controller& controller);
  void attempt_connects(Clock::time_point now);

  std::unique_ptr<State> state_;
};

}  // namespace nvmf::core
