// A controller: the association of one host with one subsystem. NVMe Base 2.0, sections 3.1, 3.3 and 3.5 to 3.7.
// Control thread only.
//
// It lives from the admin queue's Connect until that queue has closed and nothing that its host has sent can change the
// medium any more. Before that
//   - neither CSTS.RDY = 0 nor a complete shutdown nor the answer to Disconnect is told,
//   - no connection of it is ended by the target: not for a fatal keep-alive time-out, a removal, a drain, a takeover
//   or
//     an NVM Subsystem Reset either,
//   - its CNTLID is taken, and its host gets no other controller of the subsystem in its place (Subsystem).
// So a host that is told any of these may write again by another path. Commands that wait are dropped; those that a
// disk has are waited for, without end. After limits::kQuiesceTimeoutMs the host is told CSTS.CFS, and the operator
// why.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "target/core/datapath/denial.h"
#include "target/core/datapath/device_error.h"
#include "target/core/datapath/error_log.h"
#include "target/core/datapath/status.h"
#include "target/core/reactor/invariant.h"
#include "target/core/subsystem/async_event.h"
#include "target/core/subsystem/authentication.h"
#include "target/core/subsystem/controller_types.h"
#include "target/core/subsystem/cross_controller_reset.h"
#include "target/core/subsystem/event.h"
#include "target/core/subsystem/feature_values.h"
#include "target/core/subsystem/health.h"
#include "target/core/subsystem/host_identity.h"
#include "target/core/subsystem/keep_alive.h"
#include "target/core/subsystem/lost_host_communication.h"
#include "target/core/subsystem/properties.h"
#include "target/core/subsystem/reservation_notification.h"

namespace nvmf::core {

class Subsystem;
class Target;
struct NamespaceOptions;
struct Queue;

class Controller {
 public:
  // `kato_ms` and `subsysnqn` as in Connect; the discovery subsystem has two names.
  Controller(Subsystem& subsystem, uint16_t cntlid, HostIdentity host, Queue& admin_queue, uint32_t kato_ms,
             std::string subsysnqn);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  Subsystem& subsystem() const { return subsystem_; }
  ControllerTypes type() const { return type_; }
  uint16_t cntlid() const { return cntlid_; }
  const ControllerInstance& instance() const { return instance_; }
  // CQT, as it was when the controller was enabled: hosts read it once.
  uint16_t command_quiesce_ms() const { return command_quiesce_ms_; }
  const HostIdentity& host() const { return host_; }
  const std::string& subsysnqn() const { return subsysnqn_; }
  uint16_t port_id() const { return port_id_; }
  const std::string& peer() const { return peer_; }
  // The target's address by which the host came.
  const std::string& local_address() const { return local_address_; }
  // For messages: «host NQN (address), subsystem NQN, controller 3».
  std::string description() const;
  // Tells the operator of what happened to it or its host.
  void tell(Severity severity, EventKind kind, std::string message) const;

  // Its host may protect namespaces for ever, as it has been told (NWPC).
  bool offers_permanent_write_protection() const { return offers_permanent_write_protection_; }

  // Commands may run: enabled, not shut down, not failed.
  bool ready() const { return properties_.ready(); }
  const Properties& properties() const { return properties_; }
  void write_cc(uint32_t cc);
  void write_csts(uint32_t csts);
  // fail() has been called, or its admin queue's connection ends: it admits no queue and counts against no limit.
  bool is_closing() const;
  // fail() was called: its end has begun.
  bool has_begun_to_end() const { return closing_; }
  // Nothing that its host has sent can change the medium any more. Only of one that is closing.
  bool is_quiet() const;
  // The host has been silent for so long that a live host would have sent Keep Alive (keep_alive.h); whoever has not
  // authenticated on an I/O queue is not known to be the host.
  bool is_silent(KeepAlive::Clock::time_point now) const;
  // Ends it. Its I/O queues take no more commands; when those that there are have ended (contract above), CSTS.CFS is
  // set and every queue is disconnected for `reason`. Until then admin commands are answered. No effect on one that is
  // closing, but that fail_after_answer() waits no longer.
  void fail(const std::string& reason);
  // For Authentication: the host of `queue`, which was authenticated, has failed to authenticate again. The same at
  // once, only that neither this queue nor the admin queue is disconnected before the next fail(), so that the host can
  // fetch AUTH_Failure1: until then they execute nothing but authentication commands.
  void fail_after_answer(Queue& queue, const std::string& reason);

  // I/O queue identifiers run from 1 to this: Number of Queues.
  uint16_t granted_io_queues() const { return granted_io_queues_; }
  void grant_io_queues(uint16_t count) {
    granted_io_queues_ = count;
    asked_for_io_queues_ = true;
  }
  // The number that counts against limits: the granted queues, after its host has asked for a number.
  uint32_t claimed_io_queues() const { return asked_for_io_queues_ ? granted_io_queues_ : io_queue_count(); }
  unsigned io_queue_count() const;
  bool has_io_queue(uint16_t qid) const { return find_io_queue(qid) != nullptr; }
  // Null when there is none.
  Queue* find_io_queue(uint16_t qid) const;
  void add_io_queue(Queue& queue);
  // Disconnect: the queue takes no more commands; when those that there are have ended, `deleted` hears of it, and the
  // queue is disconnected. Another status than success: it is being ended already.
  void delete_io_queue(Queue& queue, std::function<void(Status)> deleted);
  // The same without a Disconnect, for `reason`; no effect on a queue that is being ended already.
  void end_io_queue(Queue& queue, const std::string& reason);
  // The queue's connection has ended. The I/O queues are ended with the admin queue.
  void queue_closed(Queue& queue);
  // Its last queue has closed, and nothing refers to it: it may be destroyed.
  bool is_over() const;

  // Begin and end of an Abort of an I/O queue's command; begin fails when limits::kMaxAborts are outstanding.
  bool begin_abort();
  void end_abort() {
    NVMF_INVARIANT(aborts_ != 0);
    --aborts_;
  }

  // From now on the queue, which is the admin queue or an I/O queue of the controller, executes nothing but
  // authentication commands until its host is authenticated.
  void require_authentication(Queue& queue);
  // Null: the queue's host need not authenticate.
  Authentication* authentication(const Queue& queue);
  // The same of the admin queue; null also when the queue has closed.
  const Authentication* authentication() const;
  // Its host need not authenticate, or has done so on the admin queue. Until then it counts against no limit.
  bool is_admitted() const;
  // The same of one of its queues: whatever comes on another one may come from anybody.
  bool is_admitted(const Queue& queue) const;
  KeepAlive::Clock::time_point created_at() const { return created_at_; }
  // Subsystem::next_controller_number().
  uint64_t number() const { return number_; }
  // One of its queues was connected while its host need not authenticate.
  bool has_queue_without_authentication() const;
  // On one of its queues the host has authenticated with a key that is none of `present`.
  bool has_queue_of_former_key(const HostCredentials& present) const;
  // For Authentication: the queue's host is who it says that it is. Returns why it may not come in, all the same;
  // empty: it may.
  std::string authenticated(Queue& queue);
  // For Authentication: the host has failed to show that. Returns for how long the answer to the failure is to be
  // delayed.
  std::chrono::milliseconds authentication_failed(const Queue& queue, AuthenticationFailure failure,
                                                  const std::string& rule);

  CrossControllerResets& cross_controller_resets() { return cross_controller_resets_; }
  // Another controller of the subsystem is closing, and is quiet now: its host may have asked this one for that.
  void other_is_quiet(const Controller& other);

  LostHostCommunications& lost_host_communications() { return lost_host_communications_; }
  // Another controller of the subsystem has lost its host, which is this one's, too: the log page, and the event.
  void other_has_lost_host(const Controller& other);

  AsyncEvents& events() { return events_; }
  ErrorLog& errors() { return errors_; }
  // The same, including the errors that the I/O queues have recorded since.
  ErrorLog& collect_errors();
  // SMART / Health: the subsystem's, with this host's temperature thresholds.
  nvme_smart_log health();
  // The health, the enabled events or a threshold of the host have changed: sends events for new warnings.
  void report_warnings();
  // The device behind a namespace has failed: the entry in the error log, and the event.
  void device_failed(uint32_t nsid, DeviceError error);
  FeatureValues& features() { return features_; }
  void set_advanced_command_retry(bool on);

  // Of log page 70h (discovery_log_end()).
  uint64_t& discovery_log_end_bytes() { return discovery_log_end_bytes_; }

  // The host's context of the Persistent Event log, from its establishment to its release.
  std::optional<std::vector<std::byte>>& persistent_event_context() { return persistent_event_context_; }

  const KeepAlive& keep_alive() const { return keep_alive_; }
  // When to call expire() next, for the keep-alive timer or for commands that do not end; none: no timer runs.
  std::optional<KeepAlive::Clock::time_point> deadline() const;
  void expire(KeepAlive::Clock::time_point now);
  void set_keep_alive(uint32_t kato_ms, KeepAlive::Clock::time_point now);
  void restart_keep_alive(KeepAlive::Clock::time_point now);

  // Sets what the host may do with a namespace of the subsystem from now on; commands already parsed are not affected.
  void deny(uint32_t nsid, Denials denials) { change_denials(nsid, denials, true); }
  void permit(uint32_t nsid, Denials denials) { change_denials(nsid, denials, false); }
  Denials denials(uint32_t nsid) const { return denied_[nsid - 1]; }

  // The state of an ANA group on this controller's port has changed: what the host may do, and the event, which waits
  // for a namespace that the host sees.
  void ana_changed(uint32_t group);
  // The host sees a namespace in a group that it was not in. `moved`: from another group.
  void namespace_joined(const NamespaceOptions& ns, bool moved);
  // Its host has read the ANA log page at some time: it uses ANA.
  void ana_log_read() { has_read_ana_log_ = true; }
  bool has_read_ana_log() const { return has_read_ana_log_; }

  // A namespace was added, changed or removed: sends the event, and updates the Changed Namespace List.
  void namespace_changed(uint32_t nsid);
  std::vector<uint32_t>& changed_namespaces() { return changed_namespaces_; }
  // Another host has changed a reservation that this host holds or shares: adds the log page, and sends the event.
  void notify_of_reservation(uint32_t nsid, nvme_resv_notify_rnlpt type);
  ReservationNotifications& reservation_notifications() { return reservation_notifications_; }

 private:
  template <typename Action>
  void for_each_queue(Action action) const;
  void act(Properties::Action action);
  void begin_life();
  void reset();
  void shut_down();
  void tell_of_loss();
  void keep_alive_due(KeepAlive::Clock::time_point now);
  void restart_keep_alive_timer(KeepAlive::Clock::time_point now);
  void quiesce_overdue();
  std::string admit();
  void change_denials(uint32_t nsid, Denials denials, bool on);

  // The end of its commands: awaited_ is counted up for each thing that must end, and on_quiet() is called at 0.
  void quiesce(Queue& queue, std::function<void()> quiesced);
  void quiesce_io_queues();
  void end_answering_queue();
  void start_quiesce_timer();
  void one_ended();
  void on_quiet();
  void flush();
  void flushed(uint32_t nsid, Status status);
  void disconnect_queues();
  void release_io_queue(Queue& queue, const std::string& reason);

  Subsystem& subsystem_;
  ControllerTypes type_;
  uint16_t cntlid_;
  ControllerInstance instance_;
  uint16_t command_quiesce_ms_ = 0;
  uint64_t number_;
  HostIdentity host_;
  std::string subsysnqn_;
  uint16_t port_id_;
  KeepAlive::Clock::time_point created_at_ = KeepAlive::Clock::now();
  std::string peer_;
  std::string local_address_;
  Properties properties_;
  Queue* admin_queue_;             // null when it has closed
  std::vector<Queue*> io_queues_;  // by QID - 1, null when there is none; has room for all queues that can be granted
  std::vector<Queue*> released_;   // I/O queues that are disconnected: their identifiers may be used again
  uint32_t awaited_ = 0;           // queues that are quiesced, flushes of a shutdown, and answering_queue_
  Queue* answering_queue_ = nullptr;  // of fail_after_answer()
  bool flush_due_ = false;            // a normal shutdown: when it is quiet
  bool closing_ = false;
  std::string closing_reason_;
  std::optional<KeepAlive::Clock::time_point> quiesce_deadline_;  // while awaited_ is not 0
  uint16_t granted_io_queues_;
  bool offers_permanent_write_protection_;
  uint32_t aborts_ = 0;
  std::unordered_map<const Queue*, std::unique_ptr<Authentication>> authentications_;
  bool asked_for_io_queues_ = false;
  CrossControllerResets cross_controller_resets_;
  LostHostCommunications lost_host_communications_;
  AsyncEvents events_;
  ErrorLog errors_;
  uint8_t reported_warnings_ = 0;  // Critical Warning bits whose events have been reported since they appeared
  FeatureValues features_;
  bool has_read_ana_log_ = false;
  KeepAlive keep_alive_;
  KeepAlive::Clock::time_point host_heard_at_;  // when the keep-alive timer was last restarted by the host for certain
  std::vector<uint32_t> changed_namespaces_;    // ascending
  // ANA groups whose state has changed while no namespace of theirs was there to tell of.
  std::bitset<limits::kMaxAnaGroups + 1> untold_ana_groups_;
  ReservationNotifications reservation_notifications_;
  std::optional<std::vector<std::byte>> persistent_event_context_;
  uint64_t discovery_log_end_bytes_ = 0;
  std::array<Denials, limits::kMaxNamespaces> denied_{};  // by NSID - 1; each I/O queue has a copy
};

}  // namespace nvmf::core
