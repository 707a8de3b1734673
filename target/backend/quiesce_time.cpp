#include "target/backend/quiesce_time.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "target/core/datapath/limits.h"

namespace nvmf::backend {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostMs = core::limits::kMaxCommandQuiesceMs;
constexpr uint64_t kMsPerSecond = 1000;

// An abort, then a reset of the SSD.
constexpr uint64_t kTimeoutsOfSsd = 2;
constexpr uint64_t kResetOfSsdMs = 5000;
constexpr uint32_t kMostPassthroughMs = 30'000;
static_assert(kTimeoutsOfSsd * kMostPassthroughMs + kResetOfSsdMs <= kMostMs);

// What the kernel does unless it was told otherwise.
constexpr uint64_t kRetriesOfSsd = 5;         // nvme_core.max_retries
constexpr uint64_t kRetriesOfScsiDisk = 5;    // sd
constexpr uint64_t kScsiErrorHandlingS = 10;  // device/eh_timeout

// A driver waits `timeouts` times for the time-out that `attribute` sets, in units of `unit_ms`, and `end_ms` for the
// end of its error handling.
struct Timeouts {
  std::string attribute;
  uint64_t unit_ms;
  uint64_t timeouts;
  uint64_t end_ms;
};

std::string remedy_of(const Timeouts& of) {
  if (of.end_ms + of.timeouts * kMsPerSecond > kMostMs) return "use a disk that repeats failed commands less often";
  const uint64_t seconds = (kMostMs - of.end_ms) / of.timeouts / kMsPerSecond;
  return "before the daemon starts: echo " + std::to_string(seconds * kMsPerSecond / of.unit_ms) + " >" + of.attribute;
}

QuiesceTime time_of(const Timeouts& of) {
  const uint64_t value = sysfs::read_number(of.attribute).value_or(0);
  constexpr uint64_t kAbsurd = UINT32_MAX;  // what clouds set, and more
  if (value == 0 || value >= kAbsurd) return {.ms = std::nullopt, .remedy = remedy_of(of)};
  const uint64_t ms = std::min<uint64_t>(of.timeouts * value * of.unit_ms + of.end_ms, UINT32_MAX);
  return {.ms = static_cast<uint32_t>(ms), .remedy = ms > kMostMs ? remedy_of(of) : std::string()};
}

// What the disk's driver says, or the kernel's default where it says nothing; none: it repeats commands for ever (-1).
std::optional<uint64_t> retries(const std::string& attribute, uint64_t usual) {
  return sysfs::read_text(attribute) ? sysfs::read_number(attribute) : usual;
}

// Through the block layer, which repeats what a reset has ended.
QuiesceTime ssd_quiesce_time(const std::string& disk, const std::string& root) {
  const auto repeated = retries(root + "/module/nvme_core/parameters/max_retries", kRetriesOfSsd);
  if (!repeated) return unbounded_quiesce_time();
  return time_of({.attribute = disk + "/queue/io_timeout",
                  .unit_ms = 1,
                  .timeouts = kTimeoutsOfSsd * (*repeated + 1),
                  .end_ms = kResetOfSsdMs});
}

// "scsi_disk" has one directory, which is called as the disk's address.
std::optional<uint64_t> scsi_retries(const std::string& device) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(device + "/scsi_disk", error))
    return retries((entry.path() / "max_retries").string(), kRetriesOfScsiDisk);
  return kRetriesOfScsiDisk;
}

QuiesceTime scsi_quiesce_time(const std::string& device) {
  const auto repeated = scsi_retries(device);
  if (!repeated) return unbounded_quiesce_time();
  const uint64_t end_s = sysfs::read_number(device + "/eh_timeout").value_or(kScsiErrorHandlingS);
  return time_of({.attribute = device + "/timeout",
                  .unit_ms = kMsPerSecond,
                  .timeouts = *repeated + 1,
                  .end_ms = end_s * kMsPerSecond});
}

}  // namespace

uint32_t passthrough_timeout_ms(uint64_t io_timeout_ms) {
  if (io_timeout_ms == 0) return kMostPassthroughMs;
  return static_cast<uint32_t>(std::min<uint64_t>(io_timeout_ms, kMostPassthroughMs));
}

QuiesceTime passthrough_quiesce_time(uint32_t timeout_ms) {
  return {.ms = static_cast<uint32_t>(kTimeoutsOfSsd * timeout_ms + kResetOfSsdMs), .remedy = {}};
}

// An SSD that is reached over fabrics waits for its target for minutes, and a multipath disk for another path: neither
// has an SSD on PCI for certain.
QuiesceTime disk_quiesce_time(const std::string& disk, const std::string& root) {
  if (sysfs::read_text(disk + "/device/timeout")) return scsi_quiesce_time(disk + "/device");
  const bool is_ssd = sysfs::nvme_controller(disk).has_value() && sysfs::pci_address(disk).has_value();
  if (is_ssd && sysfs::read_text(disk + "/queue/io_timeout")) return ssd_quiesce_time(disk, root);
  return unbounded_quiesce_time();
}

QuiesceTime unbounded_quiesce_time() {
  return {.ms = std::nullopt,
          .remedy = "where hosts have several paths, serve SSDs (\"nvme\"), or use hosts with Cross-Controller Reset"};
}

std::optional<std::string> quiesce_note(const std::string& device, const QuiesceTime& time) {
  if (time.remedy.empty()) return std::nullopt;
  const std::string longest =
      time.ms ? "for " + std::to_string(*time.ms / kMsPerSecond) + " s" : std::string("for any time");
  return device + ": the kernel may keep a command " + longest + ", but a host that has lost a path waits " +
         std::to_string(kMostMs / kMsPerSecond) +
         " s at most before it repeats its commands by another path (Command Quiesce Time); " + time.remedy;
}

QuiesceTime longer(QuiesceTime one, QuiesceTime other) {
  if (!one.ms || (other.ms && *one.ms >= *other.ms)) return one;
  return other;
}

}  // namespace nvmf::backend
