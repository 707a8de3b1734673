// An NVM subsystem: NVMe Base 2.0, sections 1.4 and 3.2. Control thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "target/core/datapath/device_error.h"
#include "target/core/datapath/io.h"
#include "target/core/datapath/io_hints.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/zones.h"
#include "target/core/subsystem/ana.h"
#include "target/core/subsystem/dhchap.h"
#include "target/core/subsystem/dispersed_namespace.h"
#include "target/core/subsystem/host_identity.h"
#include "target/core/subsystem/persistent_event.h"
#include "target/core/subsystem/subsystem_reservations.h"
#include "target/core/subsystem/write_protection.h"

namespace nvmf::core {

// Why a controller cannot come whose RNIC has no room for an I/O queue.
inline constexpr char kNoRoomForIoQueues[] =
    "the RNIC has no room for one more I/O queue; lower \"limits\".\"max_io_queues_per_host\" or "
    "\"rdma\".\"max_queue_depth\", add reactors, or disconnect a host";

// Why a host cannot come whose identifier is another's.
std::string id_is_of(const std::string& owner);

class Controller;
class QueueLink;
class Target;
struct Queue;

struct NamespaceOptions {
  uint32_t nsid = 0;
  uint8_t lba_shift = 9;  // 9 or 12
  uint64_t block_count = 0;
  std::array<uint8_t, 16> uuid{};  // all zero: none
  std::array<uint8_t, 16> nguid{};
  std::array<uint8_t, 8> eui64{};
  bool volatile_write_cache = false;
  CopyLimits copy{};
  Zones zones{};
  uint32_t optimal_io_boundary_blocks = 0;  // NOIOB
  IoHints hints{};
  uint32_t ana_group = 1;  // ANAGRPID
  // The storage of its data: namespaces of several subsystems with the same storage are one. Empty: not shared.
  std::string storage{};
  // The device has ended each command that it has after so long; none: nothing says so.
  std::optional<uint32_t> quiesce_ms = std::nullopt;
  bool write_protected = false;           // by the operator: hosts may only read it
  std::vector<std::string> visible_to{};  // NQNs of the hosts that see it; empty: all
};

// A host that must authenticate. One NQN may be there several times, with other keys each: any of them lets it in.
struct AuthenticatedHost {
  std::string nqn;
  HostKeys keys;  // no host key: nothing lets it in
  std::optional<nvme::DhchapHash> hash{};
  std::optional<nvme::DhGroup> group{};
};

struct SubsystemOptions {
  std::string nqn;
  std::string serial;  // at most 20 ASCII characters
  std::string model;   // at most 40
  std::vector<uint16_t> ports;
  bool allow_any_host = false;
  std::vector<std::string> allowed_hosts;
  std::vector<AuthenticatedHost> hosts{};  // they are allowed, too
  uint16_t max_controllers = 0xffef;
  uint16_t max_controllers_per_host = 0xffef;
  // The range of its controllers' identifiers: targets that serve one subsystem together must not share any.
  uint16_t cntlid_min = 1;
  uint16_t cntlid_max = 0xffef;
  uint16_t cntlid_first = 0;     // of them, the first that is used; 0: the least
  std::string admin_label{};     // for hosts that want extended discovery entries; at most 256 ASCII characters
  bool subsystem_reset = false;  // any of its hosts may reset it (NSSR), which disconnects them all
  bool permanent_write_protection = false;  // its hosts may protect namespaces for ever
};

class Subsystem {
 public:
  using Clock = std::chrono::steady_clock;

  // Created by Target::add_subsystem(), which has checked the options.
  Subsystem(Target& target, SubsystemOptions options, bool is_discovery);
  ~Subsystem();
  Subsystem(const Subsystem&) = delete;
  Subsystem& operator=(const Subsystem&) = delete;

  Target& target() const { return target_; }
  const std::string& nqn() const { return options_.nqn; }
  const SubsystemOptions& options() const { return options_; }
  bool is_discovery() const { return is_discovery_; }

  // Each notifies the controllers' hosts. Throws std::invalid_argument with a message for the operator, the first also
  // what ReservationStore::load() and WriteProtectionStore::load() throw.
  void add_namespace(const NamespaceOptions& options);
  // The same with what saved_state_of() gave.
  struct SavedState {
    ReservationState reservation;
    WriteProtection write_protection = WriteProtection::None;
  };
  void add_namespace(const NamespaceOptions& options, const SavedState& saved);
  // Reads what the stores have of a namespace that is to be added: files, so any thread may do that, and while the
  // target's stores stay it may take as long as it likes. Throws std::runtime_error, with a remedy, when they cannot be
  // read.
  std::function<SavedState()> saved_state_of(const NamespaceOptions& options) const;
  // Changes the size or the abilities of the namespace with the same NSID and identifiers.
  void change_namespace(const NamespaceOptions& options);
  void remove_namespace(uint32_t nsid);
  // By ascending NSID.
  const std::vector<NamespaceOptions>& namespaces() const { return namespaces_; }
  const NamespaceOptions* find_namespace(uint32_t nsid) const;
  // The same for one controller's host: null also when the namespace is hidden from the host.
  const NamespaceOptions* find_namespace(uint32_t nsid, const Controller& controller) const;
  // The longest that the device of any of them may keep a command of a lost host: Command Quiesce Time (TP4129).
  uint16_t command_quiesce_ms() const;
  // A namespace was added, changed or removed: controllers notify their hosts. The three functions above call this
  // themselves.
  void namespace_changed(uint32_t nsid);

  // The health of its devices may have changed (HealthSource): controllers notify their hosts of new warnings.
  void health_changed();
  // The device behind a namespace has failed: notifies the hosts that see it, and the operator. No effect when the
  // namespace was removed.
  void device_failed(uint32_t nsid, DeviceError error);

  // Hosts that may not connect any more, hosts that must authenticate from now on, and controllers on ports that it is
  // no longer on, are disconnected. Hosts that have authenticated with a key that has gone stay:
  // disconnect_former_keys().
  void set_allowed_hosts(bool allow_any_host, std::vector<std::string> allowed_hosts,
                         std::vector<AuthenticatedHost> hosts = {});
  // Returns how many controllers it disconnects, whose hosts have authenticated with keys that are no longer theirs.
  size_t disconnect_former_keys();
  void set_ports(std::vector<uint16_t> ports);
  // Present controllers stay.
  void set_max_controllers(uint16_t all, uint16_t per_host) {
    options_.max_controllers = all;
    options_.max_controllers_per_host = per_host;
  }
  // For controllers that are created from now on: CAP of a controller does not change.
  void set_subsystem_reset(bool allowed) { options_.subsystem_reset = allowed; }
  // From now on; controllers that there are go on saying what they said (NWPC).
  void set_permanent_write_protection(bool allowed) { options_.permanent_write_protection = allowed; }
  void set_admin_label(std::string label);
  // NVM Subsystem Reset by a controller's host: section 3.7.1. Over fabrics every association ends with it.
  void reset(const Controller& by);
  // So since the target started, and the host has not cleared CSTS.NSSRO since: the bit of its controllers that come.
  bool was_reset(const HostIdentity& host) const;
  void reset_noted(const HostIdentity& host);
  // Disconnects every host. Its controllers count as closing at once; a few begin to end now, the others in the next
  // calls of Target::expire().
  void disconnect_all(const std::string& reason);
  // For the core only: a few more of them. False: there is no more.
  bool end_some_controllers();
  // disconnect_all() means it, whether it has begun to end or not.
  bool is_to_end(const Controller& controller) const;
  // For the core only: of a new controller. No other one of the subsystem has it, and later ones have higher numbers.
  uint64_t next_controller_number() { return ++last_controller_number_; }

  // The state that one of its namespaces has in all subsystems.
  DispersedNamespace& dispersed_namespace(uint32_t nsid) const;

  SubsystemReservations& reservations() { return reservations_; }
  const SubsystemReservations& reservations() const { return reservations_; }

  SubsystemWriteProtection& write_protection() { return write_protection_; }
  const SubsystemWriteProtection& write_protection() const { return write_protection_; }
  // Whether hosts may write to one of its namespaces may have changed: enforces it without notifying them.
  void enforce_write_protection(uint32_t nsid) const;
  // What the options of its namespaces deny to a controller's host, anew: when the host has chosen the I/O command sets
  // that it uses (CC.CSS).
  void apply_denials(Controller& controller) const;

  PersistentEvents& persistent_events() { return persistent_events_; }
  const PersistentEvents& persistent_events() const { return persistent_events_; }

  // The states of its ANA groups. Every namespace's group is optimized on every port unless set otherwise.
  const AnaStates& ana() const { return ana_; }
  // Sets the state of a group on one port: hosts that use it are notified. A group that is in the change state for
  // kAnaTransitionSeconds becomes inaccessible there. Throws std::invalid_argument when there is no such group or port.
  void set_ana_state(uint32_t group, uint16_t port_id, AnaState state);
  // The port is a worse way to the group than others, which hosts are to prefer: AnaStates::set_distant(). Hosts that
  // use it are notified. Independent of set_ana_state().
  void set_ana_distant(uint32_t group, uint16_t port_id, bool distant);
  // Ends the change states that are due; returns when the next is, if there are more.
  std::optional<Clock::time_point> end_ana_transitions(Clock::time_point now);

  // All its ANA groups are in the change state on a port from now on, or inaccessible, or are again what they were set
  // to: hosts that use ANA are told, and use other ports. No effect on a port that has reached this step or a later
  // one; `No` always takes it back.
  void withdraw_port(uint16_t port_id, Withdrawal step);

  bool allows(const std::string& hostnqn) const;
  bool requires_authentication(const std::string& hostnqn) const;
  // Of the discovery subsystem: all keys that NVM subsystems have for the host.
  HostCredentials credentials_of(const std::string& hostnqn) const;
  // Of the discovery subsystem: whether all its hosts must authenticate; hosts that have not are disconnected.
  void set_discovery_authentication(bool required);
  // Ends controllers whose host may not use the subsystem as it does (any more).
  void disconnect_unwelcome();
  bool is_on_port(uint16_t port_id) const;

  // For one more controller whose host must authenticate, and comes from `address`, beside those that have not
  // (limits::kUnauthenticatedShare): ends another one where it must. False: there is none.
  bool make_room_for_unauthenticated(const std::string& address);

  // By ascending CNTLID.
  const std::vector<std::unique_ptr<Controller>>& controllers() const { return controllers_; }
  // Of one host, among perhaps very many.
  std::span<Controller* const> controllers_of(const HostIdentity& host) const;
  // Null when there is none.
  Controller* find_controller(uint16_t cntlid) const;
  // A new controller with a CNTLID that has not been used for as long as possible; null when a limit is reached. Sets
  // admin_queue.controller. Not while the host has a former one (Target::has_former_controller()). Before a limit
  // refuses a host, a controller of it that is evidently dead is removed: one of the same host (NQN and identifier),
  // from the same address, on the same port, which is silent (Controller::is_silent()). So hosts may have several on
  // purpose, as long as they keep them alive.
  // `subsysnqn`: how the host named the subsystem. `must_authenticate`: it counts against limits, and other controllers
  // make room for it, when its host has authenticated (admit()); it is created where that may be.
  Controller* create_controller(HostIdentity host, Queue& admin_queue, uint32_t kato_ms, std::string subsysnqn,
                                bool must_authenticate);
  // The host of a controller, which has come by `link`, has authenticated. Returns why it may not come in, all the
  // same; empty: it may.
  std::string admit(const Controller& controller, QueueLink& link);
  // One of the host's controllers is closing, and its commands may still change the medium.
  bool has_closing_controller(const HostIdentity& host) const;
  // Another host whose identifier it is (Target::other_owner_of_id()), where that matters.
  std::optional<std::string> other_owner_of_id(const HostIdentity& host) const;
  // A text about the limit that does not allow this host one more controller; empty: none. Controllers whose connection
  // is closing, and those whose host must authenticate and has not, count for identifiers only.
  std::string reached_limit(const HostIdentity& host) const;
  void remove_controller(const Controller& controller);

 private:
  // A group in the change state on a port, and when that ends.
  struct AnaTransition {
    uint32_t group;
    uint16_t port_id;
    Clock::time_point end;
  };
  using NamespacePlace = std::vector<NamespaceOptions>::const_iterator;

  // The place where it is, or would be.
  NamespacePlace place_of(uint32_t nsid) const;
  void check(const NamespaceOptions& options) const;
  // What the namespace's own options deny to a controller's host.
  void apply_denials(Controller& controller, const NamespaceOptions& options) const;
  void members_changed(uint32_t ana_group);
  void change_ana_state(uint32_t group, uint16_t port_id, AnaState state);
  void tell_of_ana_state(uint32_t group, uint16_t port_id) const;
  std::vector<std::unique_ptr<Controller>>::const_iterator place_of_controller(uint32_t cntlid) const;
  std::string reached_count(const HostIdentity& host) const;
  bool has_free_identifier() const;
  bool is_dead(const Controller& old, const HostIdentity& host, const QueueLink& link) const;
  void make_room(const HostIdentity& host, const QueueLink& link);
  uint16_t next_cntlid();

  Target& target_;
  SubsystemOptions options_;
  bool is_discovery_;
  bool discovery_authentication_ = false;
  std::vector<NamespaceOptions> namespaces_;
  SubsystemReservations reservations_{*this};
  SubsystemWriteProtection write_protection_{*this};
  PersistentEvents persistent_events_;
  std::vector<std::unique_ptr<Controller>> controllers_;  // by CNTLID
  std::map<HostIdentity, std::vector<Controller*>> controllers_of_host_;
  uint64_t last_controller_number_ = 0;
  // disconnect_all(), of the controllers up to this number: those from this CNTLID on are to be told.
  uint64_t last_to_end_ = 0;
  uint32_t next_to_end_ = limits::kMaxCntlid + 1u;
  std::string end_reason_;
  AnaStates ana_;
  std::vector<AnaTransition> ana_transitions_;
  uint16_t last_cntlid_;
  bool was_reset_ = false;
  std::vector<HostIdentity> noted_reset_;  // hosts that have cleared NSSRO since, limits::kMaxAbsentHosts at most
};

}  // namespace nvmf::core
