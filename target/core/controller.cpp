#include "target/core/controller.h"

#include <algorithm>

#include "target/core/queue.h"
#include "target/core/subsystem.h"
#include "target/core/target.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kIoEvents = NVME_FEATURE_AENCFG_SMART_CRIT_SPARE | NVME_FEATURE_AENCFG_SMART_CRIT_TEMPERATURE |
                               NVME_FEATURE_AENCFG_SMART_CRIT_DEGRADED | NVME_FEATURE_AENCFG_SMART_CRIT_READ_ONLY |
                               NVME_FEATURE_AENCFG_SMART_CRIT_VOLATILE_BACKUP |
                               NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES | NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE;
constexpr uint32_t kDiscoveryEvents = static_cast<uint32_t>(NVME_FEATURE_AENCFG_NOTICE_DISCOVERY_CHANGE);

uint32_t events_of(ControllerTypes type) { return type == kIoController ? kIoEvents : kDiscoveryEvents; }

}  // namespace

Controller::Controller(Subsystem& subsystem, uint16_t cntlid, HostIdentity host, Queue& admin_queue, uint32_t kato_ms)
    : subsystem_(subsystem),
      type_(subsystem.is_discovery() ? kDiscoveryController : kIoController),
      cntlid_(cntlid),
      host_(std::move(host)),
      port_id_(admin_queue.link->port_id()),
      peer_(admin_queue.link->peer()),
      properties_(subsystem.target().options().max_queue_depth, type_ == kIoController),
      admin_queue_(admin_queue),
      io_queues_(type_ == kIoController ? subsystem.target().options().max_io_queues : 0),
      granted_io_queues_(static_cast<uint16_t>(io_queues_.size())),
      events_(events_of(type_)),
      keep_alive_(type_ == kDiscoveryController ? KeepAlive::kDiscoveryActivityTimeoutMs : 0) {
  set_keep_alive(kato_ms, KeepAlive::Clock::now());
}

std::string Controller::description() const {
  return "host " + host_.nqn + " (" + peer_ + "), subsystem " + subsystem_.nqn() + ", controller " +
         std::to_string(cntlid_);
}

void Controller::write_cc(uint32_t cc) {
  switch (properties_.write_cc(cc)) {
    case Properties::Action::None:
      return;
    case Properties::Action::Start:
      set_ready(true);
      restart_keep_alive(KeepAlive::Clock::now());
      return;
    case Properties::Action::ShutDown:
      set_ready(false);
      return;
    case Properties::Action::Reset:
      return reset();
    case Properties::Action::Fail:
      set_ready(false);
      subsystem_.target().event(
          Target::Severity::Warning,
          description() + ": enabled with a CC value that CAP does not offer; the host must reset it");
      return;
  }
}

void Controller::fail(const std::string& reason) {
  properties_.fail();
  set_ready(false);
  for_each_queue([&](Queue& queue) { queue.link->disconnect(reason); });
}

unsigned Controller::io_queue_count() const {
  return static_cast<unsigned>(
      std::count_if(io_queues_.begin(), io_queues_.end(), [](const Queue* queue) { return queue != nullptr; }));
}

bool Controller::has_io_queue(uint16_t qid) const { return io_queues_[qid - 1] != nullptr; }

void Controller::add_io_queue(Queue& queue) {
  for (size_t i = 0; i < denied_.size(); ++i) queue.denied[i].store(denied_[i], std::memory_order_relaxed);
  io_queues_[queue.qid - 1] = &queue;
  queue.controller = this;
  queue.ready.store(ready(), std::memory_order_relaxed);
}

void Controller::remove_io_queue(Queue& queue) {
  errors_.collect(queue.errors);
  queue.controller = nullptr;
  queue.ready.store(false, std::memory_order_relaxed);
  io_queues_[queue.qid - 1] = nullptr;
}

void Controller::close() {
  delete_io_queues("the admin queue has closed");
  admin_queue_.controller = nullptr;
}

ErrorLog& Controller::collect_errors() {
  for_each_queue([&](Queue& queue) { errors_.collect(queue.errors); });
  return errors_;
}

void Controller::set_keep_alive(uint32_t kato_ms, KeepAlive::Clock::time_point now) {
  keep_alive_.set_timeout(kato_ms, now);
  restart_keep_alive(now);
  if (const auto deadline = keep_alive_.deadline()) subsystem_.target().deadline_set(*deadline);
}

void Controller::restart_keep_alive(KeepAlive::Clock::time_point now) {
  keep_alive_.restart(now);
  for_each_queue([](Queue& queue) { queue.saw_command.store(false, std::memory_order_relaxed); });
}

void Controller::keep_alive_due(KeepAlive::Clock::time_point now) {
  bool traffic = false;
  for_each_queue([&](Queue& queue) { traffic |= queue.saw_command.load(std::memory_order_relaxed); });
  if (traffic) return restart_keep_alive(now);
  const std::string rule = "keep-alive timeout: no command for " + std::to_string(keep_alive_.timer_ms()) + " ms";
  keep_alive_.stop();
  subsystem_.target().event(
      Target::Severity::Warning,
      description() + ": " + rule + "; disconnected. See whether the host and the network are alive");
  fail(rule);
}

void Controller::change_denials(uint32_t nsid, Denials denials, bool on) {
  Denials& denied = denied_[nsid - 1];
  denied = static_cast<Denials>(on ? denied | denials : denied & ~denials);
  for (Queue* queue : io_queues_)
    if (queue != nullptr) queue->denied[nsid - 1].store(denied, std::memory_order_relaxed);
}

void Controller::ana_changed(uint32_t group) {
  bool concerned = false;
  for (const NamespaceOptions& ns : subsystem_.namespaces()) {
    if (ns.ana_group != group) continue;
    apply_ana_state(*this, ns);
    concerned = true;
  }
  if (concerned) events_.post(AsyncEvent::AnaChanged);
}

void Controller::namespace_changed(uint32_t nsid) {
  const auto place = std::lower_bound(changed_namespaces_.begin(), changed_namespaces_.end(), nsid);
  if (place == changed_namespaces_.end() || *place != nsid) changed_namespaces_.insert(place, nsid);
  events_.post(AsyncEvent::NamespaceAttributeChanged);
}

void Controller::notify_of_reservation(uint32_t nsid, nvme_resv_notify_rnlpt type) {
  if (reservation_notifications_.add(nsid, type)) events_.post(AsyncEvent::ReservationLogPageAvailable);
}

// disconnect() returns at once and calls nothing of ours back, so the list does not change under the loop.
template <typename Action>
void Controller::for_each_queue(Action action) {
  action(admin_queue_);
  for (Queue* queue : io_queues_) {
    if (queue != nullptr) action(*queue);
  }
}

void Controller::set_ready(bool ready) {
  for_each_queue([&](Queue& queue) { queue.ready.store(ready, std::memory_order_relaxed); });
}

// Controller level reset. The error log and the keep-alive timer outlive it, features return to their defaults.
void Controller::reset() {
  set_ready(false);
  events_.reset(NVME_SC_ABORT_QUEUE);
  delete_io_queues("the host has reset the controller");
  features_ = {};
  reservation_notifications_ = {};
  granted_io_queues_ = static_cast<uint16_t>(io_queues_.size());
}

// The host may connect queues of the same identifiers again while the connections of these are still closing.
void Controller::delete_io_queues(const std::string& reason) {
  for (Queue* queue : io_queues_) {
    if (queue == nullptr) continue;
    queue->link->disconnect(reason);
    remove_io_queue(*queue);
  }
}

}  // namespace nvmf::core
