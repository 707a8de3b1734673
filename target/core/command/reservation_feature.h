// The features of reservations, both of one namespace each: rows of features.cpp's table.
#pragma once

#include "target/core/datapath/request.h"

namespace nvmf::core {

// 82h Reservation Notification Mask: NVMe Base 2.0, section 5.27.1.26. Each controller has its own.
uint32_t get_notification_mask(const Request& request);
Status set_notification_mask(Request& request);

// 83h Reservation Persistence: section 5.27.1.27. PTPL, which hosts share.
uint32_t get_persistence(const Request& request);
Status parse_set_persistence(Request& request);

}  // namespace nvmf::core
