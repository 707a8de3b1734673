#include "target/core/subsystem/reservation_notification.h"

#include <algorithm>

namespace nvmf::core {

static_assert(sizeof(nvme_resv_notification_log) == 64);

// The mask's bits are numbered like the types of pages: section 5.27.1.26.
bool ReservationNotifications::add(uint32_t nsid, nvme_resv_notify_rnlpt type) {
  if ((mask(nsid) & 1u << type) != 0) return false;
  if (pages_.size() == limits::kMaxReservationNotifications) pages_.pop_front();
  nvme_resv_notification_log page{};
  page.lpc = ++count_;
  page.rnlpt = static_cast<uint8_t>(type);
  page.nsid = nsid;
  pages_.push_back(page);
  return true;
}

nvme_resv_notification_log ReservationNotifications::read(bool retain) {
  if (pages_.empty()) return {};
  nvme_resv_notification_log page = pages_.front();
  page.nalp = static_cast<uint8_t>(std::min<size_t>(pages_.size() - 1, UINT8_MAX));
  if (!retain) pages_.pop_front();
  return page;
}

}  // namespace nvmf::core
