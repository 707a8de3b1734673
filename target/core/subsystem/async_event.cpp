#include "target/core/subsystem/async_event.h"

#include <algorithm>
#include <iterator>

#include "target/core/datapath/queue.h"
#include "target/core/reactor/invariant.h"
#include "target/core/subsystem/controller.h"
#include "target/core/subsystem/target.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {
namespace {

// Completion dword 0, Figures 145 to 150, and the feature's bits that the host enables the event with, of SMART events
// the Critical Warning bits as well; 0: no bit of that feature does, it is always on.
struct EventType {
  uint8_t type;
  uint8_t information;
  uint8_t log_page;
  uint32_t configuration;
};

// By AsyncEvent.
constexpr EventType kEvents[] = {
    {NVME_AER_NOTICE, NVME_AER_NOTICE_NS_CHANGED, NVME_LOG_LID_CHANGED_NS,
     NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES},
    {NVME_AER_NOTICE, NVME_AER_NOTICE_ANA, NVME_LOG_LID_ANA, NVME_FEATURE_AENCFG_NOTICE_ANA_CHANGE},
    {NVME_AER_NOTICE, NVME_AER_NOTICE_DISC_CHANGED, NVME_LOG_LID_DISCOVER,
     static_cast<uint32_t>(NVME_FEATURE_AENCFG_NOTICE_DISCOVERY_CHANGE)},
    {NVME_AER_CSS, NVME_AER_CSS_NVM_RESERVATION, NVME_LOG_LID_RESERVATION, 0},
    {NVME_AER_SMART, NVME_AER_SMART_SPARE_THRESHOLD, NVME_LOG_LID_SMART, NVME_SMART_CRIT_SPARE},
    {NVME_AER_SMART, NVME_AER_SMART_TEMPERATURE_THRESHOLD, NVME_LOG_LID_SMART, NVME_SMART_CRIT_TEMPERATURE},
    {NVME_AER_SMART, NVME_AER_SMART_SUBSYSTEM_RELIABILITY, NVME_LOG_LID_SMART,
     NVME_SMART_CRIT_DEGRADED | NVME_SMART_CRIT_MEDIA | NVME_SMART_CRIT_VOLATILE_MEMORY},
    {NVME_AER_ERROR, NVME_AER_ERROR_PERSISTENT_INTERNAL_ERROR, NVME_LOG_LID_ERROR, 0},
    {NVME_AER_ERROR, NVME_AER_ERROR_TRANSIENT_INTERNAL_ERROR, NVME_LOG_LID_ERROR, 0},
    {NVME_AER_NOTICE, nvme::kNoticeCrossControllerResetCompleted, nvme::kLogCrossControllerReset,
     nvme::kCrossControllerResetNotices},
    {NVME_AER_NOTICE, nvme::kNoticeLostHostCommunication, nvme::kLogLostHostCommunication,
     nvme::kLostHostCommunicationNotices},
};
static_assert(uint32_t{NVME_SMART_CRIT_SPARE} == NVME_FEATURE_AENCFG_SMART_CRIT_SPARE &&
              uint32_t{NVME_SMART_CRIT_VOLATILE_MEMORY} == NVME_FEATURE_AENCFG_SMART_CRIT_VOLATILE_BACKUP);

constexpr uint32_t bit_of(size_t event) { return 1u << event; }

constexpr uint32_t completion_dword(const EventType& event) {
  return uint32_t{event.type} | uint32_t{event.information} << 8 | uint32_t{event.log_page} << 16;
}

}  // namespace

void AsyncEvents::park(Request& request) {
  if (closed_) return finish(request, NVME_SC_ABORT_QUEUE);
  if (parked_count_ == parked_.size()) {
    return finish(request, command_specific(NVME_SC_ASYNC_LIMIT).do_not_retry());
  }
  parked_[parked_count_++] = &request;
  report();
}

void AsyncEvents::post(AsyncEvent event) {
  const auto index = static_cast<size_t>(event);
  const uint32_t enabling = kEvents[index].configuration;
  if (enabling != 0 && (configuration_ & enabling) == 0) return;
  pending_ |= bit_of(index);
  report();
}

bool AsyncEvents::is_unread(AsyncEvent event) const {
  return ((pending_ | reported_) & bit_of(static_cast<size_t>(event))) != 0;
}

void AsyncEvents::warn(uint8_t critical_warning) {
  const uint32_t enabled = critical_warning & configuration_;
  for (size_t i = 0; i < std::size(kEvents); ++i) {
    if (kEvents[i].type == NVME_AER_SMART && (kEvents[i].configuration & enabled) != 0) pending_ |= bit_of(i);
  }
  report();
}

void AsyncEvents::log_page_read(uint8_t log_page) {
  for (size_t i = 0; i < std::size(kEvents); ++i) {
    if (kEvents[i].log_page == log_page) reported_ &= ~bit_of(i);
  }
  report();
}

bool AsyncEvents::abort(uint16_t cid) {
  for (uint32_t i = 0; i < parked_count_; ++i) {
    if (parked_[i]->sqe->cid != cid) continue;
    finish(take(i), NVME_SC_ABORT_REQ);
    return true;
  }
  return false;
}

void AsyncEvents::reset(Status status) {
  configuration_ = 0;
  pending_ = 0;
  reported_ = 0;
  while (parked_count_ > 0) finish(take(0), status);
}

void AsyncEvents::close() {
  closed_ = true;
  reset(NVME_SC_ABORT_QUEUE);
}

void AsyncEvents::report() {
  for (size_t i = 0; i < std::size(kEvents) && parked_count_ > 0; ++i) {
    if ((pending_ & bit_of(i)) == 0 || is_masked(i)) continue;
    pending_ &= ~bit_of(i);
    reported_ |= bit_of(i);
    finish(take(0), kSuccess, completion_dword(kEvents[i]));
  }
}

bool AsyncEvents::is_masked(size_t event) const {
  for (size_t i = 0; i < std::size(kEvents); ++i) {
    if ((reported_ & bit_of(i)) != 0 && kEvents[i].log_page == kEvents[event].log_page) return true;
  }
  return false;
}

Request& AsyncEvents::take(uint32_t index) {
  NVMF_INVARIANT(index < parked_count_);
  Request& request = *parked_[index];
  std::move(parked_.begin() + index + 1, parked_.begin() + parked_count_, parked_.begin() + index);
  --parked_count_;
  return request;
}

void drop_parked(Queue& queue) {
  if (queue.qid != 0) return;
  if (queue.controller != nullptr) return queue.controller->events().close();
  queue.target->drop_waiting_connect(queue);
}

}  // namespace nvmf::core
