// How long a device may keep a command that nobody waits for any more: the share of a namespace's device in Command
// Quiesce Time (NVMe Base 2.1, Identify Controller; TP4129). The kernel's drivers end a command with time-outs, which
// sysfs shows; whatever is put together of other devices has none. Read when a device is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "target/backend/sysfs.h"

namespace nvmf::backend {

struct QuiesceTime {
  // The device has ended each command after so long, well or not. None: nothing says so.
  std::optional<uint32_t> ms;
  // What the operator can do for a `ms` that fits Command Quiesce Time; empty: it does.
  std::string remedy;
};

// The time-out of each command that is passed through to an SSD, where the kernel's own one for the queue is
// `io_timeout_ms` (0: not known). Some clouds set that to weeks; then this is the longest that can be promised.
uint32_t passthrough_timeout_ms(uint64_t io_timeout_ms);
// What follows of it: the driver aborts the command at the first time-out, and resets the SSD at the second.
QuiesceTime passthrough_quiesce_time(uint32_t timeout_ms);

// Of a block device, by the directory in sysfs of the whole disk, and of `root`, where sysfs is mounted.
QuiesceTime disk_quiesce_time(const std::string& disk, const std::string& root = sysfs::kRoot);
// Of what has no time-outs: files, and devices that are put together of others.
QuiesceTime unbounded_quiesce_time();

// The longer of the two, for a device whose commands go both ways.
QuiesceTime longer(QuiesceTime one, QuiesceTime other);

// For the operator, where hosts cannot be told how long the device may keep a command; none: they can.
std::optional<std::string> quiesce_note(const std::string& device, const QuiesceTime& time);

}  // namespace nvmf::backend
