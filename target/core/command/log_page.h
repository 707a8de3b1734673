// Get Log Page: NVMe Base 2.0, section 5.16. The table of pages is in log_page.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "target/core/datapath/limits.h"
#include "target/core/datapath/request.h"
#include "target/nvme/cross_controller_reset.h"

namespace nvmf::core {

// Writes a log page piece by piece, of which the host gets the window it asked for; bytes after the end are zero.
class LogWriter {
 public:
  explicit LogWriter(Request& request);

  void put(const void* data, size_t size_bytes);
  template <typename Structure>
  void put(const Structure& structure) {
    put(&structure, sizeof(structure));
  }

 private:
  std::byte* window_;
  uint64_t window_begin_;
  uint64_t window_end_;
  uint64_t position_ = 0;
};

// LPO: where in the page the host's window begins.
uint64_t log_page_offset(const nvme::Sqe& sqe);

// RAE: the event stays reported, and what the page lists stays.
inline bool retains_event(const nvme::Sqe& sqe) { return (sqe.cdw10 & 1u << 15) != 0; }

// LSP, Log Specific Field.
inline uint8_t log_specific_field(const nvme::Sqe& sqe) { return sqe.cdw10 >> 8 & 0x7f; }

// Asymmetric Namespace Access log page: section 5.16.1.10. ana_log.cpp. Hosts read as much of it as Identify Controller
// says that there can be: a descriptor for each of NANAGRPID groups, and MNAN namespaces.
inline constexpr uint32_t kLargestAnaLogBytes = sizeof(nvme_ana_log) +
                                                limits::kMaxAnaGroups * sizeof(nvme_ana_group_desc) +
                                                limits::kMaxNamespaces * sizeof(uint32_t);
static_assert(kLargestAnaLogBytes <= limits::kMinTransferBytes);
void write_ana_log(Request& request, LogWriter& log);

// Persistent Event log page: section 5.16.1.14. persistent_event_log.cpp.
inline constexpr uint32_t kPersistentEventLogUnits = 1;  // PELS: 64 KiB each
inline constexpr uint32_t kLargestPersistentEventLogBytes = kPersistentEventLogUnits << 16;
Status check_persistent_event_log(Request& request);
void write_persistent_event_log(Request& request, LogWriter& log);

// Cross-Controller Reset log page: NVMe Base 2.3, section 5.2.12.3.1. cross_controller_reset.cpp.
inline constexpr uint32_t kLargestCrossControllerResetLogBytes =
    sizeof(nvme::CrossControllerResetLogHeader) +
    nvme::kMaxCrossControllerResetEntries * sizeof(nvme::CrossControllerResetLogEntry);
void write_cross_controller_resets(Request& request, LogWriter& log);

// Lost Host Communication log page: TP8028. cross_controller_reset.cpp.
inline constexpr uint32_t kLargestLostHostCommunicationLogBytes =
    sizeof(nvme::LostHostCommunicationLogHeader) +
    nvme::kMaxLostHostCommunicationEntries * sizeof(nvme::LostHostCommunicationLogEntry);
void write_lost_host_communications(Request& request, LogWriter& log);

// Discovery log page: section 5.16.1.23. discovery.cpp.
Status check_discovery_log(Request& request);
// Bytes: the longest that the log has been since the host first read it. It reads as zero behind its present end, so
// that a host that reads a log in pieces, which becomes shorter meanwhile, finds that by the generation counter.
uint64_t discovery_log_end(const Request& request);
void write_discovery_log(Request& request, LogWriter& log);

}  // namespace nvmf::core
