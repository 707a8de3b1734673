// HOT PATH. I/O commands of the NVM command set: NVM Command Set 1.0, section 3. Zoned namespaces have them, too: Zoned
// Namespace Command Set 1.1, section 3.3.
#include "target/core/command/io_command.h"

#include <array>
#include <cstring>

#include "target/core/command/steps.h"
#include "target/core/datapath/limits.h"

namespace nvmf::core {
namespace {

[[gnu::cold]] Status refuse_namespace(Request& request, Denials denied) {
  if (request.ns == nullptr || (denied & kHidden) != 0) return invalid_namespace(request);
  return denial_status(denied);
}

}  // namespace

Status as_change(Request& request, Status status) {
  request.execute = execute_change;
  request.done = change_done;
  return status;
}

void io_done(Io& io, Status status) { finish(static_cast<Request&>(io), status); }

void execute_io(Request& request) { request.ns->channel->submit(request); }

void execute_change(Request& request) {
  if (request.ns->gate->enter(request)) request.ns->channel->submit(request);
}

void change_done(Io& io, Status status) {
  auto& request = static_cast<Request&>(io);
  request.ns->gate->leave();
  finish(request, status);
}

Status find_namespace(Request& request, Denials forbidding) {
  const uint32_t nsid = request.sqe->nsid;
  set_namespace(request, request.queue->namespaces->find(nsid));
  if (request.ns == nullptr) return refuse_namespace(request, 0);
  const auto denied =
      static_cast<Denials>(request.queue->denied[nsid - 1].load(std::memory_order_relaxed) & forbidding);
  return denied == 0 ? kSuccess : refuse_namespace(request, denied);
}

[[gnu::cold]] Status refuse_dword12(Request& request, uint32_t bits) {
  // PRACT, PRCHK, STC, DTYPE, CETYPE, and Copy's Descriptor Format.
  constexpr unsigned kFirstBits[] = {29, 26, 24, 20, 16, 8};
  unsigned bit = 0;
  for (const unsigned first : kFirstBits) {
    if (bit == 0 && bits >> first != 0) bit = first;
  }
  return invalid_field(request, offsetof(nvme::Sqe, cdw12) + bit / 8, bit % 8);
}

Status parse_range(Request& request, IoKind kind, Denials forbidding, uint32_t refused_bits) {
  const nvme::Sqe& sqe = *request.sqe;
  if (const Status status = find_namespace(request, forbidding); !status.ok()) return status;
  request.kind = kind;
  request.slba = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  request.blocks = (sqe.cdw12 & 0xffff) + 1;
  request.fua = (sqe.cdw12 & kFua) != 0;
  if ((sqe.cdw12 & refused_bits) != 0) return refuse_dword12(request, sqe.cdw12 & refused_bits);
  if (!in_range(*request.ns, request.slba, request.blocks)) {
    request.error_location = offsetof(nvme::Sqe, cdw10);
    return kLbaOutOfRange;
  }
  request.done = io_done;
  request.execute = execute_io;
  return kSuccess;
}

Status parse_transfer(Request& request, IoKind kind, Transfer transfer, Denials forbidding, uint32_t refused_bits) {
  if (const Status status = parse_range(request, kind, forbidding, refused_bits); !status.ok()) return status;
  const uint64_t length_bytes = uint64_t{request.blocks} << request.ns->lba_shift;
  if (length_bytes > request.queue->namespaces->max_transfer_bytes) {
    return invalid_field(request, offsetof(nvme::Sqe, cdw12));
  }
  request.transfer = transfer;
  request.length_bytes = static_cast<uint32_t>(length_bytes);
  return kSuccess;
}

// Section 3.2.6
Status parse_write(Request& request) {
  return as_change(request,
                   parse_transfer(request, IoKind::Write, Transfer::HostToController, kDeniesWrites, kDtype | kCetype));
}

// Section 3.2.7. Only if the disk supports it.
Status parse_write_uncorrectable(Request& request) {
  const Status status = parse_range(request, IoKind::WriteUncorrectable, kDeniesWrites, kDtype);
  if (!status.ok()) return status;
  if ((request.ns->own_commands & kOwnWriteUncorrectable) == 0) return invalid_opcode();
  return as_change(request, kSuccess);
}

namespace {

// Section 3.2.4
Status parse_read(Request& request) {
  return parse_transfer(request, IoKind::Read, Transfer::ControllerToHost, kDeniesReads, kCetype);
}

// What is written where the disk has no Write Zeroes: pages of the kernel's zero page, for nothing ever writes to it.
alignas(limits::kPageBytes) constinit std::array<std::byte, limits::kWriteZeroesPieceBytes> zeroes{};

bool set_zeroes(Request& request) {
  if (!set_piece(request, zeroes.size())) return false;
  Step& step = request.step;
  step.kind = IoKind::Write;
  step.data = Buffer{.address = zeroes.data(), .length_bytes = step.blocks << request.ns->lba_shift};
  return true;
}

void end_zeroes(Request& request) { change_done(request, request.step.status); }

void compose_write_zeroes(Request& request) {
  if (!is_in_one_zone(request.ns->zones.zone_blocks, request.slba, request.blocks))
    return finish(request, kZoneBoundaryError);
  if (!request.ns->gate->enter(request)) return;
  request.step.blocks_done = 0;
  set_zeroes(request);
  Steps<set_zeroes, end_zeroes>::run(request);
}

// Section 3.2.8. No data, so the range is the only limit. A disk that has no Write Zeroes is written to.
Status parse_write_zeroes(Request& request) {
  constexpr uint32_t kRefused = kPrchk | kStc | kDtype | kCetype;
  const Status status = parse_range(request, IoKind::WriteZeroes, kDeniesWrites, kRefused);
  if (!status.ok()) return status;
  request.deallocate = (request.sqe->cdw12 & kDeallocate) != 0;
  as_change(request, kSuccess);
  if (!request.ns->supports_write_zeroes) request.execute = compose_write_zeroes;
  return kSuccess;
}

bool may_flush(const Request& request, uint64_t index) {
  const Queue& queue = *request.queue;
  return queue.namespaces->by_nsid[index] != nullptr &&
         (queue.denied[index].load(std::memory_order_relaxed) & kDeniesFlush) == 0;
}

// Submits the flush of the first namespace from index Io::slba on; the command is complete when there is none.
void flush_next(Request& request) {
  const auto& namespaces = request.queue->namespaces->by_nsid;
  while (request.slba < namespaces.size() && !may_flush(request, request.slba)) ++request.slba;
  if (request.slba == namespaces.size()) return finish(request, kSuccess);
  if (is_dropped(*request.queue)) [[unlikely]]
    return finish(request, NVME_SC_ABORT_QUEUE);
  set_namespace(request, namespaces[request.slba++]);
  request.ns->channel->submit(request);
}

void one_flush_done(Io& io, Status status) {
  auto& request = static_cast<Request&>(io);
  if (!status.ok()) return finish(request, status);
  flush_next(request);
}

// Section 7.1 of the Base specification. NSID FFFFFFFFh flushes all namespaces, one after the other.
Status parse_flush(Request& request) {
  request.kind = IoKind::Flush;
  if (request.sqe->nsid == NVME_NSID_ALL) {
    request.done = one_flush_done;
    request.execute = flush_next;
    return kSuccess;
  }
  if (const Status status = find_namespace(request, kDeniesFlush); !status.ok()) return status;
  request.done = io_done;
  request.execute = execute_io;
  return kSuccess;
}

// The host chose the place of the ranges in its capsule, so they need not be aligned.
nvme_dsm_range range_at(const Request& request, uint32_t index) {
  nvme_dsm_range range;
  std::memcpy(&range, request.data.address + index * sizeof(range), sizeof(range));
  return range;
}

void execute_dataset_management(Request& request) {
  for (uint32_t i = 0; i < request.range_count; ++i) {
    const nvme_dsm_range range = range_at(request, i);
    if (in_range(*request.ns, range.slba, range.nlb)) continue;
    request.slba = range.slba;
    return finish(request, kLbaOutOfRange);
  }
  // The other attributes are hints, and so is this one for a namespace that cannot deallocate.
  const bool deallocate = (request.sqe->cdw11 & NVME_DSMGMT_AD) != 0 && request.ns->supports_deallocate;
  if (!deallocate) return finish(request, kSuccess);
  execute_change(request);
}

// Section 3.2.3
Status parse_dataset_management(Request& request) {
  if (const Status status = find_namespace(request, kDeniesWrites); !status.ok()) return status;
  request.kind = IoKind::Deallocate;
  request.range_count = (request.sqe->cdw10 & 0xff) + 1;
  request.done = change_done;
  return ready_to_receive(request, request.range_count * uint32_t{sizeof(nvme_dsm_range)}, execute_dataset_management);
}

constexpr CommandTable make_table() {
  constexpr uint32_t kSupported = NVME_CMD_EFFECTS_CSUPP;
  constexpr uint32_t kChangesData = NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC;
  constexpr uint8_t kZoned = 1u << NVME_CSI_ZNS;
  CommandTable table{};
  table[nvme_cmd_flush] = {"Flush", parse_flush, kSupported, kIoController};
  table[nvme_cmd_write] = {"Write", parse_write, kChangesData, kIoController};
  table[nvme_cmd_read] = {"Read", parse_read, kSupported, kIoController};
  table[nvme_cmd_write_uncor] = {"Write Uncorrectable", parse_write_uncorrectable, kChangesData, kIoController};
  table[nvme_cmd_compare] = {"Compare", parse_compare, kSupported, kIoController};
  table[nvme_cmd_write_zeroes] = {"Write Zeroes", parse_write_zeroes, kChangesData, kIoController};
  table[nvme_cmd_dsm] = {"Dataset Management", parse_dataset_management, kChangesData, kIoController};
  table[nvme_cmd_resv_register] = {"Reservation Register", parse_reservation_register, kSupported, kIoController};
  table[nvme_cmd_resv_report] = {"Reservation Report", parse_reservation_report, kSupported, kIoController};
  table[nvme_cmd_resv_acquire] = {"Reservation Acquire", parse_reservation_acquire, kSupported, kIoController};
  table[nvme_cmd_resv_release] = {"Reservation Release", parse_reservation_release, kSupported, kIoController};
  table[nvme_cmd_verify] = {"Verify", parse_verify, kSupported, kIoController};
  table[nvme_cmd_copy] = {"Copy", parse_copy, kChangesData, kIoController};
  table[nvme_zns_cmd_mgmt_send] = {"Zone Management Send", parse_zone_management_send, kChangesData, kIoController,
                                   kZoned};
  table[nvme_zns_cmd_mgmt_recv] = {"Zone Management Receive", parse_zone_management_receive, kSupported, kIoController,
                                   kZoned};
  table[nvme_zns_cmd_append] = {"Zone Append", parse_zone_append, kChangesData, kIoController, kZoned};
  return table;
}

}  // namespace

constinit const CommandTable kIoCommands = make_table();

}  // namespace nvmf::core
