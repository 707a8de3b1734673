// The data plane's one error vocabulary: an NVMe status by value.
#pragma once

#include <cstdint>

#include "target/nvme/types.h"

namespace nvmf::core {

// Status Code Type and Status Code, with Do Not Retry; NVMe Base 2.0, section 3.3.3.2.1.
// Values are libnvme's: SCT in bits 10:8, SC in bits 7:0, NVME_SC_DNR.
class Status {
 public:
  constexpr Status() = default;
  constexpr Status(int value) : value_(static_cast<uint16_t>(value)) {}  // NOLINT: NVME_SC_x reads as a Status

  constexpr bool ok() const { return value_ == 0; }
  constexpr uint16_t value() const { return value_; }
  // The completion entry's status field; the phase tag (bit 0) is not used over fabrics.
  constexpr uint16_t wire() const { return static_cast<uint16_t>(value_ << 1); }
  constexpr Status do_not_retry() const { return Status(value_ | NVME_SC_DNR); }
  friend constexpr bool operator==(Status, Status) = default;

 private:
  uint16_t value_ = 0;
};

inline constexpr Status kSuccess{};

// No status of the specification: what parse() returns for a command that arrives when its controller is already being
// ended. The transport drops the command without an answer; the end of the connection tells the host to repeat it. An
// answer would be an I/O error where a host has no second path, or one that may not be retried.
inline constexpr Status kNoAnswer{0x8000};

// Command Retry Delay: the status with which of Identify Controller's CRDT1 to CRDT3 the command may be repeated after,
// 0 (at once) when no delay is known.
constexpr Status with_retry_delay(Status status) {
  constexpr int kCrdt1 = 1 << 11;
  constexpr int kCrdt2 = 2 << 11;
  if (status == NVME_SC_CMD_INTERRUPTED) return Status(status.value() | kCrdt1);
  if (status == NVME_SC_NS_NOT_READY) return Status(status.value() | kCrdt2);
  return status;
}
// Command-specific and other types carry their SCT: NVME_SCT_CMD_SPECIFIC | NVME_SC_CONNECT_INVALID_PARAM.
constexpr Status command_specific(int sc) { return {(NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT) | sc}; }
constexpr Status media_error(int sc) { return {(NVME_SCT_MEDIA << NVME_SCT_SHIFT) | sc}; }
constexpr Status path_error(int sc) { return {(NVME_SCT_PATH << NVME_SCT_SHIFT) | sc}; }

// The one mapper from the operating system's errors (positive errno) to statuses.
Status status_from_errno(int error);

}  // namespace nvmf::core
