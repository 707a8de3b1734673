#include "target/core/command/log_page.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "target/core/command/command.h"
#include "target/core/command/controller_of.h"
#include "target/core/command/features.h"
#include "target/core/datapath/queue.h"
#include "target/core/subsystem/ascii.h"
#include "target/core/subsystem/target.h"

namespace nvmf::core {
namespace {

constexpr uint32_t kOffsetIsIndex = 1u << 23;  // CDW14

using Write = void (*)(Request&, LogWriter&);

struct LogPage {  // NOLINT(clang-analyzer-optin.performance.Padding): in the order of reading
  uint8_t lid;
  uint8_t controllers;
  uint32_t size_bytes;  // its largest, to which it reads as zero; 0: size() tells
  Status (*check)(Request&);
  Write write;
  uint64_t (*size)(const Request&) = nullptr;
  uint16_t specific = 0;  // LID Specific Parameter of the Supported Log Pages page
};
std::span<const LogPage> log_pages();

Status check_nothing(Request&) { return kSuccess; }

// The page is of the controller, not of one namespace (LPA bit 0 is clear).
Status check_controller_scope(Request& request) {
  const uint32_t nsid = request.sqe->nsid;
  if (nsid == 0 || nsid == NVME_NSID_ALL) return kSuccess;
  return invalid_field(request, offsetof(nvme::Sqe, nsid));
}

uint8_t csi_of(const Request& request) { return static_cast<uint8_t>(request.sqe->cdw14 >> 24); }

Status check_csi(Request& request) {
  return is_served(csi_of(request)) ? kSuccess : invalid_field(request, offsetof(nvme::Sqe, cdw14) + 3);
}

// 00h, section 5.16.1.1
void write_supported_pages(Request& request, LogWriter& log) {
  constexpr uint32_t kSupported = 1;
  nvme_supported_log_pages pages{};
  for (const LogPage& page : log_pages()) {
    if ((page.controllers & controller_of(request).type()) == 0) continue;
    pages.lid_support[page.lid] = kSupported | uint32_t{page.specific} << 16;
  }
  log.put(pages);
}

// 01h, section 5.16.1.2
void write_errors(Request& request, LogWriter& log) {
  const ErrorLog& errors = controller_of(request).collect_errors();
  for (uint32_t age = 0; age < ErrorLog::kEntries; ++age) log.put(errors.entry(age));
}

// 02h, section 5.16.1.3. There is no sensor and no wear of the target's own.
void write_smart(Request& request, LogWriter& log) { log.put(controller_of(request).health()); }

// 03h, section 5.16.1.4
void write_firmware_slots(Request&, LogWriter& log) {
  nvme_firmware_slot slots{};
  slots.afi = 1;
  set_ascii(slots.frs[0], NVMF_P2P_VERSION);
  log.put(slots);
}

// 04h, section 5.16.1.5. Reading it clears it, unless the host wants the event retained.
void write_changed_namespaces(Request& request, LogWriter& log) {
  auto& changed = controller_of(request).changed_namespaces();
  nvme_ns_list list{};
  if (changed.size() > std::size(list.ns)) {
    list.ns[0] = NVME_NSID_ALL;
  } else {
    std::ranges::copy(changed, list.ns);
  }
  if (!retains_event(*request.sqe)) changed.clear();
  log.put(list);
}

// 05h, section 5.16.1.6: of one I/O command set
void write_command_effects(Request& request, LogWriter& log) {
  nvme_cmd_effects_log effects{};
  for (size_t opcode = 0; opcode < kAdminCommands.size(); ++opcode) {
    const Command& command = kIoCommands[opcode];
    effects.acs[opcode] = kAdminCommands[opcode].effects;
    if ((command.command_sets >> csi_of(request) & 1) != 0) effects.iocs[opcode] = command.effects;
  }
  log.put(effects);
}

// 12h, section 5.16.1.18
void write_feature_effects(Request& request, LogWriter& log) {
  nvme_fid_supported_effects_log effects{};
  for (size_t fid = 0; fid < std::size(effects.fid_support); ++fid) {
    effects.fid_support[fid] = feature_effects(static_cast<uint8_t>(fid), controller_of(request));
  }
  log.put(effects);
}

// 13h, section 5.16.1.19: this target has no management interface.
void write_mi_effects(Request&, LogWriter&) {}

// 80h, section 5.16.1.24. The oldest page of the queue; the next read gets the next one, unless the host wants this one
// retained.
void write_reservation_notification(Request& request, LogWriter& log) {
  log.put(controller_of(request).reservation_notifications().read(retains_event(*request.sqe)));
}

constexpr LogPage kLogPages[] = {
    {NVME_LOG_LID_SUPPORTED_LOG_PAGES, kAnyController, sizeof(nvme_supported_log_pages), check_nothing,
     write_supported_pages},
    {NVME_LOG_LID_ERROR, kAnyController, ErrorLog::kEntries * sizeof(nvme_error_log_page), check_controller_scope,
     write_errors},
    {NVME_LOG_LID_SMART, kIoController, sizeof(nvme_smart_log), check_controller_scope, write_smart},
    {NVME_LOG_LID_FW_SLOT, kIoController, sizeof(nvme_firmware_slot), check_nothing, write_firmware_slots},
    {NVME_LOG_LID_CHANGED_NS, kIoController, sizeof(nvme_ns_list), check_nothing, write_changed_namespaces},
    {NVME_LOG_LID_CMD_EFFECTS, kIoController, sizeof(nvme_cmd_effects_log), check_csi, write_command_effects},
    {NVME_LOG_LID_ANA, kIoController, kLargestAnaLogBytes, check_controller_scope, write_ana_log},
    {NVME_LOG_LID_PERSISTENT_EVENT, kIoController, kLargestPersistentEventLogBytes, check_persistent_event_log,
     write_persistent_event_log},
    {NVME_LOG_LID_FID_SUPPORTED_EFFECTS, kIoController, sizeof(nvme_fid_supported_effects_log), check_nothing,
     write_feature_effects},
    {NVME_LOG_LID_MI_CMD_SUPPORTED_EFFECTS, kIoController, sizeof(nvme_mi_cmd_supported_effects_log), check_nothing,
     write_mi_effects},
    {nvme::kLogCrossControllerReset, kIoController, kLargestCrossControllerResetLogBytes, check_controller_scope,
     write_cross_controller_resets},
    {nvme::kLogLostHostCommunication, kIoController, kLargestLostHostCommunicationLogBytes, check_controller_scope,
     write_lost_host_communications},
    {NVME_LOG_LID_RESERVATION, kIoController, sizeof(nvme_resv_notification_log), check_controller_scope,
     write_reservation_notification},
    {NVME_LOG_LID_DISCOVER, kDiscoveryController, 0, check_discovery_log, write_discovery_log, discovery_log_end,
     NVMF_LOG_DISC_LID_PLEOS | NVMF_LOG_DISC_LID_EXTDLPES},
};

std::span<const LogPage> log_pages() { return kLogPages; }

const LogPage* find_page(const Request& request) {
  const auto lid = static_cast<uint8_t>(request.sqe->cdw10);
  for (const LogPage& page : kLogPages) {
    if (page.lid == lid && (page.controllers & controller_of(request).type()) != 0) return &page;
  }
  return nullptr;
}

uint64_t size_of(const LogPage& page, const Request& request) {
  return page.size_bytes != 0 ? page.size_bytes : page.size(request);
}

void execute_get_log_page(Request& request) {
  const LogPage& page = *find_page(request);
  LogWriter log(request);
  page.write(request, log);
  if (!retains_event(*request.sqe)) controller_of(request).events().log_page_read(page.lid);
  finish(request, kSuccess);
}

// Bytes of the window: NUMDU and NUMDL, a 0-based count of dwords.
uint64_t window_bytes(const nvme::Sqe& sqe) {
  const uint64_t numd_z = sqe.cdw10 >> 16 | uint64_t{sqe.cdw11 & 0xffff} << 16;
  return (numd_z + 1) * 4;
}

}  // namespace

Status parse_get_log_page(Request& request) {
  const nvme::Sqe& sqe = *request.sqe;
  const LogPage* page = find_page(request);
  if (page == nullptr) {
    request.error_location = offsetof(nvme::Sqe, cdw10);
    return command_specific(NVME_SC_INVALID_LOG_PAGE).do_not_retry();
  }
  const uint64_t length_bytes = window_bytes(sqe);
  if (length_bytes > request.queue->target->options().max_transfer_bytes) {
    return invalid_field(request, offsetof(nvme::Sqe, cdw10) + 2);
  }
  if ((sqe.cdw14 & kOffsetIsIndex) != 0) return invalid_field(request, offsetof(nvme::Sqe, cdw14) + 2, 7);
  const uint64_t offset = log_page_offset(sqe);
  if (offset % 4 != 0 || offset > size_of(*page, request)) return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  if (const Status status = page->check(request); !status.ok()) return status;
  return ready_to_reply(request, static_cast<uint32_t>(length_bytes), execute_get_log_page);
}

uint64_t log_page_offset(const nvme::Sqe& sqe) { return uint64_t{sqe.cdw13} << 32 | sqe.cdw12; }

LogWriter::LogWriter(Request& request)
    : window_(request.data.address),
      window_begin_(log_page_offset(*request.sqe)),
      window_end_(window_begin_ + request.length_bytes) {
  std::memset(window_, 0, request.length_bytes);
}

void LogWriter::put(const void* data, size_t size_bytes) {
  const uint64_t begin = std::max(position_, window_begin_);
  const uint64_t end = std::min(position_ + size_bytes, window_end_);
  if (begin < end) {
    std::memcpy(window_ + (begin - window_begin_), static_cast<const std::byte*>(data) + (begin - position_),
                end - begin);
  }
  position_ += size_bytes;
}

}  // namespace nvmf::core
