// Which failures become entries of the Error Information log page: NVMe Base 2.0, section 5.16.1.2.
#pragma once

#include "target/core/datapath/status.h"

namespace nvmf::core {

struct Request;

// Records the failure of `request` in its queue's ring, and in its namespace's counts of device errors. Called on the
// queue's thread. True when the log tells the host more than the status.
bool record_error(const Request& request, Status status);

}  // namespace nvmf::core
