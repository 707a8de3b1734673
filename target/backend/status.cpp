#include "target/backend/status.h"

#include <cerrno>

namespace nvmf::backend {
namespace {

// Status Code and Type, and Do Not Retry. More and the Command Retry Delay are the device's own: the delay counts in
// units of a table that hosts do not get to see.
constexpr int kPassedOn = 0x7ff | NVME_SC_DNR;
constexpr int kWithoutDnr = 0x7ff;

// The kernel's driver generates these for commands that the device never answered.
constexpr int kHostPathError = NVME_SCT_PATH << NVME_SCT_SHIFT | NVME_SC_HOST_PATH_ERROR;
constexpr int kAbortedByHost = NVME_SCT_PATH << NVME_SCT_SHIFT | NVME_SC_CMD_ABORTED_BY_HOST;

core::Status status_of_device(int status) {
  switch (status & kWithoutDnr) {
    case kHostPathError:
    case kAbortedByHost:
      return NVME_SC_CMD_INTERRUPTED;
    default:
      return status & kPassedOn;
  }
}

}  // namespace

core::Status status_of_error(int result) {
  return result > 0 ? status_of_device(result) : core::status_from_errno(-result);
}

// A file or device that ended early has shrunk meanwhile.
core::Status status_of_short_transfer(int result) { return core::status_from_errno(result < 0 ? -result : EIO); }

}  // namespace nvmf::backend
