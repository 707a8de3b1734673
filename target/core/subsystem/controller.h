// A controller: the association of one host with one subsystem, from the admin queue's Connect until that queue closes.
// NVMe Base 2.0, sections 3.1, 3.3 and 3.5 to 3.7. Control thread only.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "target/core/datapath/denial.h"
#include "target/core/datapath/device_error.h"
#include "target/core/datapath/error_log.h"
#include "target/core/datapath/status.h"
#include "target/core/reactor/invariant.h"
#include "target/core/subsystem/async_event.h"
#include "target/core/subsystem/controller_types.h"
#include "target/core/subsystem/feature_values.h"
#include "target/core/subsystem/health.h"
#include "target/core/subsystem/host_identity.h"
#include "target/core/subsystem/keep_alive.h"
#include "target/core/subsystem/properties.h"
#include "target/core/subsystem/reservation_notification.h"

namespace nvmf::core {

class Subsystem;
class Target;
struct NamespaceOptions;
struct Queue;

class Controller {
 public:
  // `kato_ms` as in Connect. Before the admin queue goes, close() must be called.
  Controller(Subsystem& subsystem, uint16_t cntlid, HostIdentity host, Queue& admin_queue, uint32_t kato_ms);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  Subsystem& subsystem() const { return subsystem_; }
  ControllerTypes type() const { return type_; }
  uint16_t cntlid() const { return cntlid_; }
  const HostIdentity& host() const { return host_; }
  uint16_t port_id() const { return port_id_; }
  const std::string& peer() const { return peer_; }
  // For messages: «host NQN (address), subsystem NQN, controller 3».
  std::string description() const;

  // Its host may protect namespaces for ever, as it has been told (NWPC).
  bool offers_permanent_write_protection() const { return offers_permanent_write_protection_; }

  // Commands may run: enabled, not shut down, not failed.
  bool ready() const { return properties_.ready(); }
  const Properties& properties() const { return properties_; }
  void write_cc(uint32_t cc);
  void write_csts(uint32_t csts);
  // Its admin queue's connection ends.
  bool is_closing() const;
  // Nothing has come from its host for so long that a host that lives would have sent Keep Alive (keep_alive.h).
  bool is_silent(KeepAlive::Clock::time_point now) const;
  // Fatal: CSTS.CFS, and every queue is disconnected for `reason`.
  void fail(const std::string& reason);

  // I/O queue identifiers run from 1 to this: Number of Queues.
  uint16_t granted_io_queues() const { return granted_io_queues_; }
  void grant_io_queues(uint16_t count) {
    granted_io_queues_ = count;
    asked_for_io_queues_ = true;
  }
  // What counts against limits: what it was granted, once its host has asked for a number.
  uint32_t claimed_io_queues() const { return asked_for_io_queues_ ? granted_io_queues_ : io_queue_count(); }
  unsigned io_queue_count() const;
  bool has_io_queue(uint16_t qid) const { return find_io_queue(qid) != nullptr; }
  // Null when there is none.
  Queue* find_io_queue(uint16_t qid) const;
  void add_io_queue(Queue& queue);
  // The queue has closed, or its host has disconnected it.
  void remove_io_queue(Queue& queue);
  // The admin queue has closed: the I/O queues are disconnected, and no queue knows of the controller any more.
  void close();

  // An Abort command of an I/O queue's command begins, unless there are limits::kMaxAborts of them already, and ends.
  bool begin_abort();
  void end_abort() {
    NVMF_INVARIANT(aborts_ != 0);
    --aborts_;
  }

  AsyncEvents& events() { return events_; }
  ErrorLog& errors() { return errors_; }
  // The same, with what the I/O queues have noted since.
  ErrorLog& collect_errors();
  // SMART / Health: the subsystem's, with this host's temperature thresholds.
  nvme_smart_log health();
  // The health, what the host has enabled, or a threshold of its has changed: events of warnings that are new to it.
  void report_warnings();
  // The device behind a namespace has failed: the entry in the error log, and the event.
  void device_failed(uint32_t nsid, DeviceError error);
  FeatureValues& features() { return features_; }
  void set_advanced_command_retry(bool on);

  // What the host has of the Persistent Event log, from the establishing of a context to its release.
  std::optional<std::vector<std::byte>>& persistent_event_context() { return persistent_event_context_; }

  const KeepAlive& keep_alive() const { return keep_alive_; }
  void set_keep_alive(uint32_t kato_ms, KeepAlive::Clock::time_point now);
  void restart_keep_alive(KeepAlive::Clock::time_point now);
  // The deadline has passed. A command since the last look restarts the timer; none: fails the controller.
  void keep_alive_due(KeepAlive::Clock::time_point now);

  // What the host may do with a namespace of the subsystem from now on; commands already parsed are not touched.
  void deny(uint32_t nsid, Denials denials) { change_denials(nsid, denials, true); }
  void permit(uint32_t nsid, Denials denials) { change_denials(nsid, denials, false); }
  Denials denials(uint32_t nsid) const { return denied_[nsid - 1]; }

  // The state of an ANA group on this controller's port has changed: what the host may do, and the event, which waits
  // for a namespace that the host sees.
  void ana_changed(uint32_t group);
  // The host sees a namespace in a group that it was not in. `moved`: from another group.
  void namespace_joined(const NamespaceOptions& ns, bool moved);

  // A namespace appeared, changed or went: the event, and the Changed Namespace List.
  void namespace_changed(uint32_t nsid);
  std::vector<uint32_t>& changed_namespaces() { return changed_namespaces_; }
  // A reservation of the host's, or one that it shares, has changed by another host's doing: the page, and the event.
  void notify_of_reservation(uint32_t nsid, nvme_resv_notify_rnlpt type);
  ReservationNotifications& reservation_notifications() { return reservation_notifications_; }

 private:
  template <typename Action>
  void for_each_queue(Action action);
  void set_ready(bool ready);
  void reset();
  void change_denials(uint32_t nsid, Denials denials, bool on);
  void delete_io_queues(const std::string& reason);

  Subsystem& subsystem_;
  ControllerTypes type_;
  uint16_t cntlid_;
  HostIdentity host_;
  uint16_t port_id_;
  std::string peer_;
  Properties properties_;
  Queue& admin_queue_;
  std::vector<Queue*> io_queues_;  // by QID - 1, null where there is none; room for all that can be granted
  uint16_t granted_io_queues_;
  bool offers_permanent_write_protection_;
  uint32_t aborts_ = 0;
  bool asked_for_io_queues_ = false;
  AsyncEvents events_;
  ErrorLog errors_;
  uint8_t reported_warnings_ = 0;  // Critical Warning bits whose events have been reported since they appeared
  FeatureValues features_;
  KeepAlive keep_alive_;
  std::vector<uint32_t> changed_namespaces_;  // ascending
  // ANA groups whose state has changed while no namespace of theirs was there to tell of.
  std::bitset<limits::kMaxAnaGroups + 1> untold_ana_groups_;
  ReservationNotifications reservation_notifications_;
  std::optional<std::vector<std::byte>> persistent_event_context_;
  std::array<Denials, limits::kMaxNamespaces> denied_{};  // by NSID - 1; each I/O queue has a copy
};

}  // namespace nvmf::core
