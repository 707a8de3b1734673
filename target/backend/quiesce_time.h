// How long a device may keep a command that nobody waits for any more: the share of a namespace's device in Command
// Quiesce Time (NVMe Base 2.1, Identify Controller; TP4129). The kernel's drivers end a command with time-outs, which
// sysfs shows; whatever is put together of other devices has none. Read when a device is opened.
//
// What the time does not have in it: an SSD whose firmware hangs does not answer its reset, and the driver waits for
// CAP.TO and for the time-out of admin commands besides. The error handling of SCSI may escalate (reset of the device,
// of the target, of the bus, of the host), each step for as long as `eh_timeout` says. And a command that waits for a
// tag of the device, in a thread of io_uring's, has no time-out yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "target/backend/sysfs.h"

namespace nvmf::backend {

struct QuiesceTime {
  // The device has ended each command after so long, well or not. None: nothing says so.
  std::optional<uint32_t> ms;
  // What the operator can do for a `ms` that fits Command Quiesce Time; empty: `ms` fits.
  std::string remedy;
};

// Of the commands that are passed through to an SSD: the driver aborts a command at its first time-out, and resets the
// SSD at the second.
struct PassthroughTime {
  // Of commands that change the medium, where the kernel's own time-out is not known, or so long that it is none
  // (clouds set it so): the target's own one. 0: the kernel's, which may be long because the SSD needs it.
  uint32_t timeout_ms = 0;
  QuiesceTime quiesce;
};
// By the name of the SSD's generic device, "ng0n1".
PassthroughTime passthrough_time(const std::string& name, const std::string& root = sysfs::kRoot);

// Of a block device, by the directory in sysfs of the whole disk, and of `root`, where sysfs is mounted.
QuiesceTime disk_quiesce_time(const std::string& disk, const std::string& root = sysfs::kRoot);
// Of what has no time-outs: files, and devices that are put together of others.
QuiesceTime unbounded_quiesce_time();

// The longer of the two, for a device whose commands go both ways.
QuiesceTime longer(QuiesceTime one, QuiesceTime other);

// For the operator, where hosts cannot be told how long the device may keep a command; none: they can.
std::optional<std::string> quiesce_note(const std::string& device, const QuiesceTime& time);

}  // namespace nvmf::backend
