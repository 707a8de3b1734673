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
constexpr uint32_t kOwnTimeoutMs = 30'000;  // what is usual
static_assert(kTimeoutsOfSsd * kOwnTimeoutMs + kResetOfSsdMs <= kMostMs);

// What the kernel does unless it was told otherwise.
constexpr uint64_t kRetriesOfSsd = 5;         // nvme_core.max_retries
constexpr uint64_t kRetriesOfScsiDisk = 5;    // sd
constexpr uint64_t kScsiErrorHandlingS = 10;  // device/eh_timeout

// A time-out of a day is none. What clouds set (nvme_core.io_timeout=4294967295, seconds) reads as 49 days.
constexpr uint64_t kAbsurdMs = uint64_t{24} * 3600 * kMsPerSecond;

// A driver waits `timeouts` times for the time-out that `attribute` sets, in units of `unit_ms`, and `end_ms` for the
// end of its error handling.
struct Timeouts {
  std::string attribute;
  uint64_t unit_ms;
  uint64_t timeouts;
  uint64_t end_ms;
};

std::string before_start(const std::string& commands) { return "before the daemon starts: " + commands; }

std::string echo(uint64_t value, const std::string& attribute) {
  return "echo " + std::to_string(value) + " >" + attribute;
}

// The longest value that fits.
std::string echo_of(const Timeouts& of) {
  return echo((kMostMs - of.end_ms) / of.timeouts / kMsPerSecond * kMsPerSecond / of.unit_ms, of.attribute);
}

std::string remedy_of(const Timeouts& of) {
  if (of.end_ms + of.timeouts * kMsPerSecond > kMostMs) return "use a disk that repeats failed commands less often";
  return before_start(echo_of(of));
}

// In ms; none: not known, or as good as none.
std::optional<uint64_t> timeout_of(const std::string& attribute, uint64_t unit_ms) {
  const uint64_t value = sysfs::read_number(attribute).value_or(0);
  if (value == 0 || value >= kAbsurdMs / unit_ms) return std::nullopt;
  return value * unit_ms;
}

QuiesceTime time_of(const Timeouts& of) {
  const auto timeout_ms = timeout_of(of.attribute, of.unit_ms);
  if (!timeout_ms) return {.ms = std::nullopt, .remedy = remedy_of(of)};
  const uint64_t ms = std::min<uint64_t>(of.timeouts * *timeout_ms + of.end_ms, UINT32_MAX);
  return {.ms = static_cast<uint32_t>(ms), .remedy = ms > kMostMs ? remedy_of(of) : std::string()};
}

// Through the block layer, which repeats what a reset has ended. Better without that than with a shorter time-out,
// which would also end commands that the SSD needs long for.
QuiesceTime ssd_quiesce_time(const std::string& disk, const std::string& root) {
  const std::string retries = root + "/module/nvme_core/parameters/max_retries";
  const uint64_t repeated = sysfs::read_number(retries).value_or(kRetriesOfSsd);
  Timeouts of{.attribute = disk + "/queue/io_timeout",
              .unit_ms = 1,
              .timeouts = kTimeoutsOfSsd * (repeated + 1),
              .end_ms = kResetOfSsdMs};
  QuiesceTime time = time_of(of);
  if (time.remedy.empty() || repeated == 0) return time;
  of.timeouts = kTimeoutsOfSsd;
  const bool is_enough = time_of(of).remedy.empty();
  time.remedy = before_start(echo(0, retries) + (is_enough ? std::string() : "; " + echo_of(of)));
  return time;
}

// Of an SSD over fabrics the driver waits for minutes for the SSD to come back, and a multipath disk waits for another
// path: neither has an SSD on PCI for certain. To serve an SSD instead would be no advice.
QuiesceTime unbounded_quiesce_time_of_ssd() {
  return {.ms = std::nullopt, .remedy = "where hosts have several paths, use hosts with Cross-Controller Reset"};
}

// What the driver says, or the kernel's default where it says nothing; none: it repeats commands for ever (-1).
std::optional<uint64_t> retries_of_scsi_disk(const std::string& attribute) {
  return sysfs::read_text(attribute) ? sysfs::read_number(attribute) : kRetriesOfScsiDisk;
}

// "scsi_disk" has one directory, which is called as the disk's address.
std::optional<uint64_t> scsi_retries(const std::string& device) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(device + "/scsi_disk", error))
    return retries_of_scsi_disk((entry.path() / "max_retries").string());
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

// With native multipath the disk has no queue of its own, and its paths have what the module's parameter said.
PassthroughTime passthrough_time(const std::string& name, const std::string& root) {
  if (!sysfs::pci_address(root + "/class/nvme-generic/" + name))
    return {.timeout_ms = 0, .quiesce = unbounded_quiesce_time_of_ssd()};
  const std::string of_queue = sysfs::disk_of_generic(name, root).value_or(std::string()) + "/queue/io_timeout";
  const bool has_queue = sysfs::read_text(of_queue).has_value();
  const auto timeout_ms =
      has_queue ? timeout_of(of_queue, 1) : timeout_of(root + "/module/nvme_core/parameters/io_timeout", kMsPerSecond);
  const uint64_t ms = kTimeoutsOfSsd * timeout_ms.value_or(kOwnTimeoutMs) + kResetOfSsdMs;
  const std::string shorter =
      has_queue ? before_start(echo(kOwnTimeoutMs, of_queue)) : "start the kernel with nvme_core.io_timeout=30";
  return {.timeout_ms = timeout_ms ? 0 : kOwnTimeoutMs,
          .quiesce = {
              .ms = static_cast<uint32_t>(ms),
              .remedy = ms <= kMostMs ? std::string() : "where the SSD ends every command within 30 s, " + shorter}};
}

QuiesceTime disk_quiesce_time(const std::string& disk, const std::string& root) {
  if (sysfs::read_text(disk + "/device/timeout")) return scsi_quiesce_time(disk + "/device");
  if (!sysfs::nvme_controller(disk)) return unbounded_quiesce_time();
  const bool is_on_pci = sysfs::pci_address(disk).has_value() && sysfs::read_text(disk + "/queue/io_timeout");
  return is_on_pci ? ssd_quiesce_time(disk, root) : unbounded_quiesce_time_of_ssd();
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
