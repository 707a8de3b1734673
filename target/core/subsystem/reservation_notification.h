// Reservation notifications of one controller: the queue behind log page 80h and the mask of feature 82h. NVMe Base
// 2.0, sections 5.16.1.24, 5.27.1.26 and 8.19.1. Control thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "target/core/datapath/limits.h"
#include "target/nvme/types.h"

namespace nvmf::core {

class ReservationNotifications {
 public:
  static constexpr uint32_t kMasks =
      NVME_FEAT_RESV_NOTIFY_REGPRE | NVME_FEAT_RESV_NOTIFY_RESREL | NVME_FEAT_RESV_NOTIFY_RESPRE;

  uint32_t mask(uint32_t nsid) const { return masks_[nsid - 1]; }
  void set_mask(uint32_t nsid, uint32_t mask) { masks_[nsid - 1] = static_cast<uint8_t>(mask); }

  // Queues the page of a notification. False: the host has masked it. The oldest page is lost when the host has
  // limits::kMaxReservationNotifications unread pages; the host sees a gap in the Log Page Count.
  bool add(uint32_t nsid, nvme_resv_notify_rnlpt type);
  // The oldest page; an empty one when there is none. Removed from the queue unless `retain`ed.
  nvme_resv_notification_log read(bool retain);

 private:
  std::array<uint8_t, limits::kMaxNamespaces> masks_{};  // by NSID - 1
  std::deque<nvme_resv_notification_log> pages_;         // oldest first
  uint64_t count_ = 0;
};

}  // namespace nvmf::core
