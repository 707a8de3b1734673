// HOT PATH. Zone Append and the management of zones: Zoned Namespace Command Set 1.1, section 3.4.
#include <algorithm>
#include <cstring>

#include "target/core/command/io_command.h"
#include "target/core/command/steps.h"
#include "target/core/datapath/limits.h"
#include "target/core/datapath/scratch.h"

namespace nvmf::core {
namespace {

constexpr size_t kCdw13 = offsetof(nvme::Sqe, cdw13);

// Command dword 13 of both management commands: what to do, and how.
constexpr uint32_t kAction = 0xff;
constexpr uint32_t kSelectAll = 1u << 8;        // Send: of all zones, SLBA is ignored
constexpr uint32_t kRandomWriteArea = 1u << 9;  // Send: no zone has one
constexpr uint32_t kPartialReport = 1u << 16;   // Receive: NZ counts the zones that fit

Status find_zoned_namespace(Request& request, Denials forbidding) {
  if (const Status status = find_namespace(request, forbidding); !status.ok()) return status;
  return is_zoned(request.ns->zones) ? kSuccess : invalid_opcode();
}

void name_zone(Request& request, IoKind kind) {
  const nvme::Sqe& sqe = *request.sqe;
  request.kind = kind;
  request.zone_action = sqe.cdw13;
  request.slba = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
}

// The device checks the rest: whether a zone begins there, and its state.
Status check_zone(Request& request) {
  if (in_range(*request.ns, request.slba, 1)) return kSuccess;
  request.error_location = offsetof(nvme::Sqe, cdw10);
  return kLbaOutOfRange;
}

// Zone Append --------------------------------------------------------------------------------------------------------

void append_done(Io& io, Status status) {
  auto& request = static_cast<Request&>(io);
  request.ns->gate->leave();
  finish(request, status, status.ok() ? io.slba : 0);
}

}  // namespace

// Section 3.4.1. PIREMAP is ignored: no namespace has protection information.
Status parse_zone_append(Request& request) {
  if (const Status status = find_zoned_namespace(request, kDeniesWrites); !status.ok()) return status;
  const Status status =
      parse_transfer(request, IoKind::ZoneAppend, Transfer::HostToController, kDeniesWrites, kDtype | kCetype);
  if (!status.ok()) return status;
  if (request.length_bytes > max_zone_append_bytes(request.queue->namespaces->max_transfer_bytes))
    return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  request.execute = execute_change;
  request.done = append_done;
  return kSuccess;
}

// Zone Management Send -----------------------------------------------------------------------------------------------

namespace {

bool is_send_action(uint32_t action) {
  switch (action) {
    case NVME_ZNS_ZSA_CLOSE:
    case NVME_ZNS_ZSA_FINISH:
    case NVME_ZNS_ZSA_OPEN:
    case NVME_ZNS_ZSA_RESET:
    case NVME_ZNS_ZSA_OFFLINE:
    case NVME_ZNS_ZSA_SET_DESC_EXT:
      return true;
    default:
      return false;
  }
}

}  // namespace

// Section 3.4.3
Status parse_zone_management_send(Request& request) {
  if (const Status status = find_zoned_namespace(request, kDeniesWrites); !status.ok()) return status;
  const uint32_t cdw13 = request.sqe->cdw13;
  name_zone(request, IoKind::ZoneManagementSend);
  if (!is_send_action(cdw13 & kAction)) return invalid_field(request, kCdw13);
  if ((cdw13 & kRandomWriteArea) != 0) return invalid_field(request, kCdw13 + 1, 1);
  if ((cdw13 & kSelectAll) != 0) request.slba = 0;
  if (const Status status = check_zone(request); !status.ok()) return status;
  as_change(request, kSuccess);
  if ((cdw13 & kAction) != NVME_ZNS_ZSA_SET_DESC_EXT) return kSuccess;
  if (request.ns->zones.extension_bytes == 0) return invalid_field(request, kCdw13);
  request.transfer = Transfer::HostToController;
  request.length_bytes = request.ns->zones.extension_bytes;
  return kSuccess;
}

// Zone Management Receive --------------------------------------------------------------------------------------------
//
// Hosts may ask for as long a report as MDTS allows, of which the device may carry only a part at once. So the target
// reads it in pieces and copies their descriptors, one piece after the other.

namespace {

constexpr uint32_t kHeaderBytes = sizeof(nvme_zone_report);
static_assert(kHeaderBytes == 64 && sizeof(nvme_zns_desc) == 64);

uint32_t descriptor_bytes(const Request& request) {
  const bool extended = (request.zone_action & kAction) == NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES;
  return uint32_t{sizeof(nvme_zns_desc)} + (extended ? request.ns->zones.extension_bytes : 0);
}

uint32_t descriptors_in(const Request& request, uint32_t report_bytes) {
  return (report_bytes - kHeaderBytes) / descriptor_bytes(request);
}

// The next piece, from Step::slba on. Only the first counts the zones that do not fit.
void set_report_piece(Request& request) {
  Step& step = request.step;
  const uint32_t room = descriptors_in(request, request.length_bytes) - step.zones_done;
  const uint32_t zones = std::min(room, descriptors_in(request, request.scratch_bytes));
  step.data = scratch_of(request, kHeaderBytes + zones * descriptor_bytes(request));
  step.zone_action = request.zone_action | (step.zones_done != 0 ? kPartialReport : 0);
}

void set_zone_count(const Request& request, uint64_t zones) {
  std::memcpy(request.data.address + offsetof(nvme_zone_report, nr_zones), &zones, sizeof(zones));
}

// Copies the piece that has been read. Returns how many zones were in it.
uint32_t take_report_piece(Request& request) {
  Step& step = request.step;
  const uint32_t size = descriptor_bytes(request);
  nvme_zone_report header;
  std::memcpy(&header, step.data.address, kHeaderBytes);
  const auto zones =
      static_cast<uint32_t>(std::min<uint64_t>(header.nr_zones, descriptors_in(request, step.data.length_bytes)));
  if (step.zones_done == 0) set_zone_count(request, header.nr_zones);
  std::memcpy(request.data.address + kHeaderBytes + size_t{step.zones_done} * size, step.data.address + kHeaderBytes,
              size_t{zones} * size);
  step.zones_done += zones;
  return zones;
}

// What the device says is not believed where a loop hangs on it: each piece begins behind the one before.
bool set_next_report_piece(Request& request) {
  Step& step = request.step;
  const uint32_t zones = take_report_piece(request);
  const bool is_full = zones == descriptors_in(request, step.data.length_bytes);
  if (!is_full || step.zones_done == descriptors_in(request, request.length_bytes)) return false;
  nvme_zns_desc last;
  std::memcpy(&last, step.data.address + kHeaderBytes + size_t{zones - 1} * descriptor_bytes(request), sizeof(last));
  const uint64_t slba = last.zslba + request.ns->zones.zone_blocks;
  if (slba <= step.slba || slba >= request.ns->block_count) return false;
  step.slba = slba;
  set_report_piece(request);
  return true;
}

void end_report(Request& request) {
  const Step& step = request.step;
  if (!step.status.ok()) return finish(request, step.status);
  if ((request.zone_action & kPartialReport) != 0) set_zone_count(request, step.zones_done);
  const uint32_t report_bytes = kHeaderBytes + step.zones_done * descriptor_bytes(request);
  std::memset(request.data.address + report_bytes, 0, request.length_bytes - report_bytes);
  finish(request, kSuccess);
}

void execute_report(Request& request) {
  Step& step = request.step;
  step.kind = IoKind::ZoneManagementReceive;
  step.slba = request.slba;
  step.blocks = 0;
  step.zones_done = 0;
  std::memset(request.data.address, 0, kHeaderBytes);
  set_report_piece(request);
  Steps<set_next_report_piece, end_report>::run(request);
}

Status check_report(Request& request) {
  const uint32_t action = request.zone_action & kAction;
  const uint32_t which = request.zone_action >> 8 & 0xff;  // ZRASF
  if (action > NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES) return invalid_field(request, kCdw13);
  if (action == NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES && request.ns->zones.extension_bytes == 0)
    return invalid_field(request, kCdw13);
  return which <= NVME_ZNS_ZRAS_REPORT_OFFLINE ? kSuccess : invalid_field(request, kCdw13 + 1);
}

}  // namespace

// Section 3.4.2
Status parse_zone_management_receive(Request& request) {
  if (const Status status = find_zoned_namespace(request, kDeniesReads); !status.ok()) return status;
  name_zone(request, IoKind::ZoneManagementReceive);
  if (const Status status = check_zone(request); !status.ok()) return status;
  if (const Status status = check_report(request); !status.ok()) return status;
  const uint64_t length_bytes = (uint64_t{request.sqe->cdw12} + 1) * 4;  // NUMD, a 0-based count of dwords
  if (length_bytes < kHeaderBytes || length_bytes > request.queue->namespaces->max_transfer_bytes)
    return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  request.scratch_bytes = static_cast<uint32_t>(std::min<uint64_t>(length_bytes, limits::kZoneReportPieceBytes));
  return ready_to_reply(request, static_cast<uint32_t>(length_bytes), execute_report);
}

}  // namespace nvmf::core
