#include "target/core/subsystem/controller.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "target/core/datapath/queue.h"
#include "target/core/subsystem/subsystem.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kIoEvents = NVME_FEATURE_AENCFG_SMART_CRIT_SPARE | NVME_FEATURE_AENCFG_SMART_CRIT_TEMPERATURE |
                               NVME_FEATURE_AENCFG_SMART_CRIT_DEGRADED | NVME_FEATURE_AENCFG_SMART_CRIT_READ_ONLY |
                               NVME_FEATURE_AENCFG_SMART_CRIT_VOLATILE_BACKUP |
                               NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES | NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE |
                               nvme::kCrossControllerResetNotices | nvme::kLostHostCommunicationNotices;
constexpr uint32_t kDiscoveryEvents = static_cast<uint32_t>(NVME_FEATURE_AENCFG_NOTICE_DISCOVERY_CHANGE);

Properties::SubsystemReset reset_of(const Subsystem& subsystem, const HostIdentity& host) {
  if (!subsystem.options().subsystem_reset) return Properties::SubsystemReset::NotSupported;
  return subsystem.was_reset(host) ? Properties::SubsystemReset::Occurred : Properties::SubsystemReset::Supported;
}

uint32_t events_of(ControllerTypes type) { return type == kIoController ? kIoEvents : kDiscoveryEvents; }

}  // namespace

Controller::Controller(Subsystem& subsystem, uint16_t cntlid, HostIdentity host, Queue& admin_queue, uint32_t kato_ms,
                       std::string subsysnqn)
    : subsystem_(subsystem),
      type_(subsystem.is_discovery() ? kDiscoveryController : kIoController),
      cntlid_(cntlid),
      number_(subsystem.next_controller_number()),
      host_(std::move(host)),
      subsysnqn_(std::move(subsysnqn)),
      port_id_(admin_queue.link->port_id()),
      peer_(admin_queue.link->peer()),
      local_address_(admin_queue.link->local_address()),
      properties_(subsystem.target().options().max_queue_depth, type_ == kIoController, reset_of(subsystem, host_)),
      admin_queue_(&admin_queue),
      io_queues_(type_ == kIoController ? subsystem.target().options().max_io_queues : 0),
      granted_io_queues_(static_cast<uint16_t>(io_queues_.size())),
      offers_permanent_write_protection_(subsystem.options().permanent_write_protection),
      events_(events_of(type_)),
      keep_alive_(type_ == kDiscoveryController ? KeepAlive::kDiscoveryActivityTimeoutMs : 0) {
  begin_life();
  set_keep_alive(kato_ms, KeepAlive::Clock::now());
}

std::string Controller::description() const {
  return "host " + shown(host_.nqn) + " (" + peer_ + "), subsystem " + subsystem_.nqn() + ", controller " +
         std::to_string(cntlid_);
}

void Controller::tell(Severity severity, EventKind kind, std::string message) const {
  subsystem_.target().event({.severity = severity,
                             .kind = kind,
                             .message = std::move(message),
                             .subsystem = subsystem_.nqn(),
                             .host = shown(host_.nqn)});
}

// What its host reads once, when it has enabled it.
void Controller::begin_life() {
  instance_.renew(subsystem_.target().mark());
  command_quiesce_ms_ = subsystem_.command_quiesce_ms();
}

void Controller::write_cc(uint32_t cc) { act(properties_.write_cc(cc)); }

void Controller::act(Properties::Action action) {
  switch (action) {
    case Properties::Action::None:
      return;
    case Properties::Action::Start:
      begin_life();
      subsystem_.apply_denials(*this);
      restart_keep_alive(KeepAlive::Clock::now());
      if (type_ == kIoController) subsystem_.persistent_events().enabled(*this);
      return;
    case Properties::Action::ShutDown:
      return shut_down();
    case Properties::Action::Quiesce:
      events_.reset(NVME_SC_ABORT_QUEUE);
      return quiesce_io_queues();
    case Properties::Action::Reset:
      return reset();
    case Properties::Action::Fail:
      tell(Severity::Warning, EventKind::Other,
           description() + ": the host enabled it with a CC value that CAP does not allow; the host must reset it");
      return;
  }
}

void Controller::write_csts(uint32_t csts) {
  if (properties_.write_csts(csts)) subsystem_.reset_noted(host_);
}
// The end of its commands --------------------------------------------------------------------------------------------

void Controller::fail(const std::string& reason) {
  if (closing_) return end_answering_queue();
  closing_ = true;
  closing_reason_ = reason;
  quiesce_io_queues();
}

void Controller::fail_after_answer(Queue& queue, const std::string& reason) {
  if (closing_) return;
  for (Queue* const one : {&queue, admin_queue_})
    if (!is_dropped(*one)) one->admission.store(Admission::Unauthenticated, std::memory_order_relaxed);
  answering_queue_ = &queue;
  ++awaited_;
  fail(reason);
}

void Controller::end_answering_queue() {
  Queue* const queue = std::exchange(answering_queue_, nullptr);
  if (queue == nullptr) return;
  if (queue != admin_queue_ && queue->controller == this && !is_dropped(*queue)) quiesce(*queue, [] {});
  one_ended();
}

bool Controller::is_closing() const {
  return closing_ || subsystem_.is_to_end(*this) || admin_queue_ == nullptr || admin_queue_->link->is_closing();
}

bool Controller::is_quiet() const { return closing_ && awaited_ == 0; }

bool Controller::is_over() const {
  return admin_queue_ == nullptr && awaited_ == 0 && released_.empty() && io_queue_count() == 0;
}

// Section 3.6. The host has no use for its I/O queues any more: they stay connected until it ends them, or resets.
void Controller::shut_down() {
  flush_due_ = properties_.asks_normal_shutdown();
  quiesce_io_queues();
}

void Controller::quiesce_io_queues() {
  ++awaited_;
  for (Queue* queue : io_queues_) {
    if (queue != nullptr && queue != answering_queue_ && !is_dropped(*queue)) quiesce(*queue, [] {});
  }
  if (awaited_ > 1) start_quiesce_timer();
  one_ended();
}

void Controller::quiesce(Queue& queue, std::function<void()> quiesced) {
  queue.admission.store(Admission::Dropped, std::memory_order_relaxed);
  ++awaited_;
  start_quiesce_timer();
  queue.link->quiesce([this, quiesced = std::move(quiesced)] {
    quiesced();
    one_ended();
  });
}

void Controller::start_quiesce_timer() {
  if (quiesce_deadline_) return;
  quiesce_deadline_ = KeepAlive::Clock::now() + std::chrono::milliseconds(limits::kQuiesceTimeoutMs);
  subsystem_.target().deadline_set(*quiesce_deadline_);
}

void Controller::one_ended() {
  if (--awaited_ != 0) return;
  quiesce_deadline_.reset();
  on_quiet();
}

void Controller::on_quiet() {
  if (closing_) {
    disconnect_queues();
    for (Controller* other : subsystem_.controllers_of(host_)) other->other_is_quiet(*this);
    return subsystem_.target().controller_is_quiet(*this);
  }
  if (std::exchange(flush_due_, false)) return flush();
  act(properties_.quiesced());
}

// Of a normal shutdown. What no command can change any more is put on stable media, and whether the media have caches
// is for the backend to know at this moment.
void Controller::flush() {
  const auto& flush_namespace = subsystem_.target().flush_namespace;
  ++awaited_;
  for (const NamespaceOptions& ns : subsystem_.namespaces()) {
    if (!flush_namespace) continue;
    ++awaited_;
    start_quiesce_timer();
    flush_namespace(subsystem_, ns.nsid, [this, nsid = ns.nsid](Status status) { flushed(nsid, status); });
  }
  one_ended();
}

void Controller::flushed(uint32_t nsid, Status status) {
  if (!status.ok()) {
    properties_.fail();
    tell(Severity::Error, EventKind::Device,
         description() + ": during its shutdown the write cache of namespace " + std::to_string(nsid) +
             " could not be flushed: the controller reports a fatal status; see the kernel log (dmesg)");
  }
  one_ended();
}

// It goes on waiting: nothing else may be told before.
void Controller::quiesce_overdue() {
  quiesce_deadline_.reset();
  properties_.fail();
  tell(Severity::Error, EventKind::Device,
       description() + ": " + std::to_string(limits::kQuiesceTimeoutMs / 1000) +
           " s after the controller's reset, shutdown or disconnect, a device has not finished "
           "all commands of the controller: the controller reports a fatal status, and its host cannot connect "
           "to the subsystem again until the commands end; see the kernel log (dmesg)");
}

// Hosts take the end of any connection for the end of all.
void Controller::disconnect_queues() {
  properties_.fail();
  keep_alive_.stop();
  for (Queue* queue : io_queues_) {
    if (queue != nullptr) release_io_queue(*queue, closing_reason_);
  }
  if (admin_queue_ == nullptr) return;
  admin_queue_->admission.store(Admission::Dropped, std::memory_order_relaxed);
  admin_queue_->link->disconnect(closing_reason_);
}

void Controller::delete_io_queue(Queue& queue, std::function<void(Status)> deleted) {
  if (is_dropped(queue)) return deleted(NVME_SC_ABORT_QUEUE);
  quiesce(queue, [this, &queue, deleted = std::move(deleted)] {
    deleted(kSuccess);
    release_io_queue(queue, "the host sent Disconnect");
  });
}

void Controller::end_io_queue(Queue& queue, const std::string& reason) {
  if (!is_dropped(queue)) quiesce(queue, [this, &queue, reason] { release_io_queue(queue, reason); });
}

void Controller::release_io_queue(Queue& queue, const std::string& reason) {
  io_queues_[queue.qid - 1] = nullptr;
  released_.push_back(&queue);
  queue.link->disconnect(reason);
}

void Controller::queue_closed(Queue& queue) {
  if (Authentication* const unfinished = authentication(queue); unfinished != nullptr && !closing_)
    unfinished->abandoned();
  queue.controller = nullptr;
  authentications_.erase(&queue);
  if (&queue == admin_queue_) {
    admin_queue_ = nullptr;
    keep_alive_.stop();
    tell_of_loss();
    return fail("the admin queue has closed");
  }
  errors_.collect(queue.errors);
  if (std::erase(released_, &queue) == 0) io_queues_[queue.qid - 1] = nullptr;
  if (&queue == answering_queue_) end_answering_queue();
}

// Its queues ---------------------------------------------------------------------------------------------------------

bool Controller::is_silent(KeepAlive::Clock::time_point now) const {
  const auto saw_command = [this](const Queue* queue) {
    return queue != nullptr && queue->saw_command.load(std::memory_order_relaxed) && is_admitted(*queue);
  };
  return keep_alive_.is_overdue(now) && !saw_command(admin_queue_) && std::ranges::none_of(io_queues_, saw_command);
}

unsigned Controller::io_queue_count() const {
  return static_cast<unsigned>(std::ranges::count_if(io_queues_, [](const Queue* queue) { return queue != nullptr; }));
}

Queue* Controller::find_io_queue(uint16_t qid) const {
  return qid == 0 || qid > io_queues_.size() ? nullptr : io_queues_[qid - 1];
}

void Controller::add_io_queue(Queue& queue) {
  for (size_t i = 0; i < denied_.size(); ++i) queue.denied[i].store(denied_[i], std::memory_order_relaxed);
  NVMF_INVARIANT(io_queues_[queue.qid - 1] == nullptr);
  io_queues_[queue.qid - 1] = &queue;
  queue.controller = this;
  queue.subsystem = &subsystem_;
  queue.hostid = host_.id;
  queue.admission.store(Admission::Admitted, std::memory_order_relaxed);
  queue.advanced_command_retry.store(features_.advanced_command_retry, std::memory_order_relaxed);
}

// Authentication ------------------------------------------------------------------------------------------------------

void Controller::require_authentication(Queue& queue) {
  queue.admission.store(Admission::Unauthenticated, std::memory_order_relaxed);
  authentications_[&queue] = std::make_unique<Authentication>(*this, queue);
}

Authentication* Controller::authentication(const Queue& queue) {
  const auto found = authentications_.find(&queue);
  return found == authentications_.end() ? nullptr : found->second.get();
}

const Authentication* Controller::authentication() const {
  const auto found = authentications_.find(admin_queue_);
  return found == authentications_.end() ? nullptr : found->second.get();
}

bool Controller::is_admitted() const { return admin_queue_ == nullptr || is_admitted(*admin_queue_); }

bool Controller::is_admitted(const Queue& queue) const {
  const auto found = authentications_.find(&queue);
  return found == authentications_.end() || found->second->is_done();
}

bool Controller::has_queue_without_authentication() const {
  bool found = false;
  for_each_queue([&](const Queue& queue) { found |= !authentications_.contains(&queue); });
  return found;
}

bool Controller::has_queue_of_former_key(const HostCredentials& present) const {
  return std::ranges::any_of(authentications_, [&](const auto& entry) {
    const Authentication& authentication = *entry.second;
    return authentication.is_done() && !present.has(*authentication.keys().host);
  });
}

std::string Controller::authenticated(Queue& queue) {
  ++subsystem_.target().counters.authentications;
  if (&queue == admin_queue_ && !is_admitted()) {
    if (std::string refusal = admit(); !refusal.empty()) return refusal;
  }
  if (is_unauthenticated(queue)) queue.admission.store(Admission::Admitted, std::memory_order_relaxed);
  host_heard_at_ = KeepAlive::Clock::now();
  if (&queue != admin_queue_) return {};
  tell(Severity::Info, EventKind::Authentication,
       "authenticated " + description() + ", with the key " + authentication(queue)->keys().host->fingerprint());
  return {};
}

// What Connect asks of a host that need not authenticate: nobody takes a place by a host's name alone.
std::string Controller::admit() {
  std::string refusal = subsystem_.admit(*this, *admin_queue_->link);
  if (refusal.empty()) return refusal;
  ++subsystem_.target().counters.refused_connects[static_cast<size_t>(ConnectRefusal::NoController)];
  tell(Severity::Warning, EventKind::Refusal, "refused " + description() + ", which has authenticated: " + refusal);
  return refusal;
}

std::chrono::milliseconds Controller::authentication_failed(const Queue& queue, AuthenticationFailure failure,
                                                            const std::string& rule) {
  Target& target = subsystem_.target();
  ++target.counters.failed_authentications[static_cast<size_t>(failure)];
  tell(Severity::Warning, EventKind::Authentication,
       "authentication of queue " + std::to_string(queue.qid) + " of " + description() + " failed: " + rule);
  const std::string address = address_of(peer_);
  const auto now = KeepAlive::Clock::now();
  switch (failure) {
    case AuthenticationFailure::WrongResponse:
    case AuthenticationFailure::Protocol:
      return target.failed_attempts.add(address, now);
    case AuthenticationFailure::NoKey:
    case AuthenticationFailure::HostRejected:
    case AuthenticationFailure::TimedOut:
    case AuthenticationFailure::Abandoned:
      return target.failed_attempts.add_quarter(address, now);
    case AuthenticationFailure::Internal:
      break;
  }
  return std::chrono::milliseconds(0);
}

void Controller::other_is_quiet(const Controller& other) {
  if (cross_controller_resets_.complete(other.cntlid_, other.instance_))
    events_.post(AsyncEvent::CrossControllerResetCompleted);
}

// Of a controller that its host uses, and that nobody has ended.
void Controller::tell_of_loss() {
  if (type_ != kIoController || closing_ || !ready()) return;
  for (Controller* other : subsystem_.controllers_of(host_))
    if (other != this && !other->is_closing() && other->is_admitted()) other->other_has_lost_host(*this);
}

void Controller::other_has_lost_host(const Controller& other) {
  lost_host_communications_.add(other.cntlid_, other.instance_.uniquifier);
  events_.post(AsyncEvent::LostHostCommunication);
}

bool Controller::begin_abort() {
  if (aborts_ == limits::kMaxAborts) return false;
  ++aborts_;
  return true;
}

ErrorLog& Controller::collect_errors() {
  for_each_queue([&](Queue& queue) { errors_.collect(queue.errors); });
  return errors_;
}

void Controller::set_advanced_command_retry(bool on) {
  features_.advanced_command_retry = on;
  for_each_queue([on](Queue& queue) { queue.advanced_command_retry.store(on, std::memory_order_relaxed); });
}

nvme_smart_log Controller::health() {
  const HealthSource* source = subsystem_.target().health_source;
  const auto devices = source != nullptr ? source->health(subsystem_) : std::vector<nvme_smart_log>{};
  nvme_smart_log smart = put_together(devices);
  if (features_.is_too_hot_or_cold(composite_temperature(smart))) smart.critical_warning |= NVME_SMART_CRIT_TEMPERATURE;
  const uint64_t errors = collect_errors().count();
  std::memcpy(smart.num_err_log_entries, &errors, sizeof(errors));
  return smart;
}

void Controller::report_warnings() {
  if (type_ != kIoController || !ready()) return;
  const uint8_t warnings = health().critical_warning;
  reported_warnings_ &= warnings;
  const auto news = static_cast<uint8_t>(warnings & ~reported_warnings_ & events_.configuration());
  if (news == 0) return;
  reported_warnings_ |= news;
  events_.warn(news);
}

void Controller::device_failed(uint32_t nsid, DeviceError error) {
  const bool gone = error == DeviceError::Persistent;
  const Status status = gone ? NVME_SC_NS_NOT_READY : NVME_SC_INTERNAL;
  errors_.add({.sqid = CommandError::kNoCommand,
               .cid = CommandError::kNoCommand,
               .status = status.wire(),
               .location = CommandError::kNoCommand,
               .nsid = nsid});
  events_.post(gone ? AsyncEvent::PersistentInternalError : AsyncEvent::TransientInternalError);
}

void Controller::set_keep_alive(uint32_t kato_ms, KeepAlive::Clock::time_point now) {
  keep_alive_.set_timeout(kato_ms, now);
  restart_keep_alive(now);
  if (const auto deadline = keep_alive_.deadline()) subsystem_.target().deadline_set(*deadline);
}

void Controller::restart_keep_alive(KeepAlive::Clock::time_point now) {
  host_heard_at_ = now;
  restart_keep_alive_timer(now);
}

void Controller::restart_keep_alive_timer(KeepAlive::Clock::time_point now) {
  keep_alive_.restart(now);
  for_each_queue([](Queue& queue) { queue.saw_command.store(false, std::memory_order_relaxed); });
}

std::optional<KeepAlive::Clock::time_point> Controller::deadline() const {
  const auto keep_alive = keep_alive_.deadline();
  auto next = keep_alive;
  const auto take = [&next](const std::optional<KeepAlive::Clock::time_point>& other) {
    if (other && (!next || *other < *next)) next = other;
  };
  take(quiesce_deadline_);
  for (const auto& [queue, authentication] : authentications_) take(authentication->deadline());
  return next;
}

void Controller::expire(KeepAlive::Clock::time_point now) {
  if (quiesce_deadline_ && *quiesce_deadline_ <= now) quiesce_overdue();
  if (const auto deadline = keep_alive_.deadline(); deadline && *deadline <= now) keep_alive_due(now);
  for (const auto& [queue, authentication] : authentications_) authentication->expire(now);
}

// A command since the last look restarts the timer; so does a host that waits for the target to authenticate it. On an
// I/O queue that has not authenticated that may be a stranger: he keeps the controller of a dead host alive for one
// more period of the timer, which is within what hosts wait for a target that counts traffic (TBKAS: three times KATO,
// then CQT), and no longer than the host itself may take to authenticate there. (Of a controller whose admin queue has
// not authenticated anybody may be the host.)
void Controller::keep_alive_due(KeepAlive::Clock::time_point now) {
  constexpr std::chrono::milliseconds kHostMayTake(limits::kAuthenticationTimeoutMs);
  bool by_host = false;
  bool by_anybody = false;
  const auto hear = [&](const Queue& queue) {
    by_anybody = true;
    by_host |= is_admitted(queue) || !is_admitted();
  };
  for_each_queue([&](const Queue& queue) {
    if (queue.saw_command.load(std::memory_order_relaxed)) hear(queue);
  });
  for (const auto& [queue, authentication] : authentications_)
    if (authentication->is_busy()) hear(*queue);
  if (by_host) return restart_keep_alive(now);
  const std::chrono::milliseconds two_periods(uint64_t{keep_alive_.timer_ms()} * 2);
  if (by_anybody && now < host_heard_at_ + std::min(kHostMayTake, two_periods)) return restart_keep_alive_timer(now);
  for (const auto& [queue, authentication] : authentications_) authentication->abandoned();
  const std::string rule = "keep-alive timeout: no command for " + std::to_string(keep_alive_.timer_ms()) + " ms";
  keep_alive_.stop();
  tell_of_loss();
  properties_.fail();
  ++subsystem_.target().counters.keep_alive_expiries;
  tell(Severity::Warning, EventKind::Disconnect,
       description() + ": " + rule + "; disconnected. Check whether the host and the network work");
  fail(rule);
}

void Controller::change_denials(uint32_t nsid, Denials denials, bool on) {
  Denials& denied = denied_[nsid - 1];
  const auto changed = static_cast<Denials>(on ? denied | denials : denied & ~denials);
  if (std::exchange(denied, changed) == changed) return;  // its queues have it already: there may be very many
  for (Queue* queue : io_queues_)
    if (queue != nullptr) queue->denied[nsid - 1].store(denied, std::memory_order_relaxed);
}

void Controller::ana_changed(uint32_t group) {
  bool concerned = false;
  for (const NamespaceOptions& ns : subsystem_.namespaces()) {
    if (ns.ana_group != group) continue;
    apply_ana_state(*this, ns);
    concerned |= (denials(ns.nsid) & kHidden) == 0;
  }
  untold_ana_groups_.set(group, !concerned);
  if (concerned) events_.post(AsyncEvent::AnaChanged);
}

// A new member of a group whose state the host knows is told by the namespace's own event (section 5.2).
void Controller::namespace_joined(const NamespaceOptions& ns, bool moved) {
  if (!moved && !untold_ana_groups_.test(ns.ana_group)) return;
  untold_ana_groups_.reset(ns.ana_group);
  events_.post(AsyncEvent::AnaChanged);
}

void Controller::namespace_changed(uint32_t nsid) {
  const auto place = std::ranges::lower_bound(changed_namespaces_, nsid);
  if (place == changed_namespaces_.end() || *place != nsid) changed_namespaces_.insert(place, nsid);
  events_.post(AsyncEvent::NamespaceAttributeChanged);
}

void Controller::notify_of_reservation(uint32_t nsid, nvme_resv_notify_rnlpt type) {
  if (reservation_notifications_.add(nsid, type)) events_.post(AsyncEvent::ReservationLogPageAvailable);
}

template <typename Action>
void Controller::for_each_queue(Action action) const {
  if (admin_queue_ != nullptr) action(*admin_queue_);
  for (Queue* queue : io_queues_) {
    if (queue != nullptr) action(*queue);
  }
}

// Controller level reset, its end. The error log and the keep-alive timer outlive it, features return to their
// defaults. The host may connect queues of the same identifiers again while the connections of these are still closing.
void Controller::reset() {
  for (Queue* queue : io_queues_) {
    if (queue != nullptr) release_io_queue(*queue, "the host has reset the controller");
  }
  set_advanced_command_retry(false);
  features_ = {};
  events_.reset(NVME_SC_ABORT_QUEUE);  // again: of what came while it waited
  reported_warnings_ = 0;
  reservation_notifications_ = {};
  untold_ana_groups_.reset();
  cross_controller_resets_ = {};
  lost_host_communications_ = {};
  persistent_event_context_.reset();
  if (admin_queue_ != nullptr) admin_queue_->link->reserve_io_queues(1);
  granted_io_queues_ = static_cast<uint16_t>(io_queues_.size());
  asked_for_io_queues_ = false;
}

}  // namespace nvmf::core
