// HOT PATH: what each command is counted as.
#include "target/core/datapath/io_counters.h"

#include "target/nvme/command.h"

namespace nvmf::core {
namespace {

constexpr std::array<CommandKind, 256> make_kinds() {
  std::array<CommandKind, 256> kinds{};
  kinds.fill(CommandKind::Other);
  kinds[nvme_cmd_read] = CommandKind::Read;
  kinds[nvme_cmd_write] = CommandKind::Write;
  kinds[nvme_cmd_flush] = CommandKind::Flush;
  kinds[nvme_cmd_write_zeroes] = CommandKind::WriteZeroes;
  kinds[nvme_cmd_dsm] = CommandKind::DatasetManagement;
  kinds[nvme_cmd_compare] = CommandKind::Compare;
  kinds[nvme_cmd_verify] = CommandKind::Verify;
  kinds[nvme_cmd_copy] = CommandKind::Copy;
  kinds[nvme_cmd_write_uncor] = CommandKind::WriteUncorrectable;
  kinds[nvme_cmd_resv_register] = CommandKind::Reservation;
  kinds[nvme_cmd_resv_report] = CommandKind::Reservation;
  kinds[nvme_cmd_resv_acquire] = CommandKind::Reservation;
  kinds[nvme_cmd_resv_release] = CommandKind::Reservation;
  return kinds;
}

CommandKind admin_kind(uint8_t opcode) {
  switch (opcode) {
    case nvme_admin_identify:
      return CommandKind::Identify;
    case nvme_admin_get_log_page:
      return CommandKind::GetLogPage;
    case nvme_admin_get_features:
      return CommandKind::GetFeatures;
    case nvme_admin_set_features:
      return CommandKind::SetFeatures;
    case nvme_admin_async_event:
      return CommandKind::AsyncEventRequest;
    case nvme_admin_abort_cmd:
      return CommandKind::Abort;
    case nvme_admin_keep_alive:
      return CommandKind::KeepAlive;
    default:
      return CommandKind::Other;
  }
}

CommandKind fabrics_kind(uint8_t type) {
  switch (type) {
    case nvme_fabrics_type_connect:
      return CommandKind::Connect;
    case nvme_fabrics_type_disconnect:
      return CommandKind::Disconnect;
    case nvme_fabrics_type_property_get:
      return CommandKind::PropertyGet;
    case nvme_fabrics_type_property_set:
      return CommandKind::PropertySet;
    default:
      return CommandKind::Other;
  }
}

Failure generic_failure(int sc) {
  switch (sc) {
    case NVME_SC_INVALID_OPCODE:
      return Failure::InvalidOpcode;
    case NVME_SC_INVALID_FIELD:
      return Failure::InvalidField;
    case NVME_SC_INVALID_NS:
      return Failure::InvalidNamespace;
    case NVME_SC_LBA_RANGE:
      return Failure::LbaOutOfRange;
    case NVME_SC_DATA_XFER_ERROR:
      return Failure::DataTransfer;
    case NVME_SC_INTERNAL:
      return Failure::Internal;
    case NVME_SC_ABORT_REQ:
    case NVME_SC_ABORT_QUEUE:
    case NVME_SC_FUSED_FAIL:
    case NVME_SC_FUSED_MISSING:
      return Failure::Aborted;
    case NVME_SC_CMD_INTERRUPTED:
    case NVME_SC_NS_NOT_READY:
      return Failure::Interrupted;
    case NVME_SC_RESERVATION_CONFLICT:
      return Failure::ReservationConflict;
    case NVME_SC_NS_WRITE_PROTECTED:
      return Failure::WriteProtected;
    case NVME_SC_CMD_SEQ_ERROR:
      return Failure::Sequence;
    default:
      return Failure::OtherGeneric;
  }
}

void add(PathCounters& total, const PathCounters& part) {
  total.commands.add(part.commands.get());
  total.bytes.add(part.bytes.get());
}

void add(TransferCounters& total, const TransferCounters& part) {
  total.latency.merge(part.latency);
  total.bytes.add(part.bytes.get());
}

template <class Histograms>
void merge(Histograms& total, const Histograms& part) {
  for (size_t i = 0; i < total.size(); ++i) total[i].merge(part[i]);
}

}  // namespace

constinit const std::array<CommandKind, 256> kCommandKindOf = make_kinds();

CommandKind kind_without_namespace(const nvme::Sqe& sqe, bool on_admin_queue) {
  if (sqe.opcode == nvme_admin_fabrics) return fabrics_kind(sqe.fctype());
  return on_admin_queue ? admin_kind(sqe.opcode) : kCommandKindOf[sqe.opcode];
}

Failure failure_of(Status status) {
  const int sc = status.value() & 0xff;
  switch (status.value() >> NVME_SCT_SHIFT & NVME_SCT_MASK) {
    case NVME_SCT_GENERIC:
      return generic_failure(sc);
    case NVME_SCT_CMD_SPECIFIC:
      return Failure::CommandSpecific;
    case NVME_SCT_MEDIA:
      return sc == NVME_SC_COMPARE_FAILED ? Failure::Compare : Failure::Media;
    case NVME_SCT_PATH:
      return Failure::Ana;
    default:
      return Failure::Other;
  }
}

const char* name_of(CommandKind kind) {
  static constexpr std::array<const char*, kCommandKinds> kNames = {
      "read",         "write",        "flush",        "write_zeroes",        "dataset_management",
      "compare",      "verify",       "copy",         "write_uncorrectable", "reservation",
      "identify",     "get_log_page", "get_features", "set_features",        "async_event_request",
      "abort",        "keep_alive",   "connect",      "disconnect",          "property_get",
      "property_set", "other"};
  static_assert(kCommandKinds == static_cast<size_t>(CommandKind::Other) + 1 && kNames.back() != nullptr);
  return kNames[static_cast<size_t>(kind)];
}

const char* name_of(Failure failure) {
  static constexpr std::array<const char*, kFailures> kNames = {"invalid_opcode",
                                                                "invalid_field",
                                                                "invalid_namespace",
                                                                "lba_out_of_range",
                                                                "data_transfer",
                                                                "internal",
                                                                "aborted",
                                                                "interrupted",
                                                                "reservation_conflict",
                                                                "write_protected",
                                                                "compare_failure",
                                                                "ana",
                                                                "media",
                                                                "sequence",
                                                                "other_generic",
                                                                "command_specific",
                                                                "other"};
  static_assert(kFailures == static_cast<size_t>(Failure::Other) + 1 && kNames.back() != nullptr);
  return kNames[static_cast<size_t>(failure)];
}

const char* name_of(Operation operation) {
  static constexpr std::array<const char*, kOperations> kNames = {"read", "write", "other"};
  static_assert(kOperations == static_cast<size_t>(Operation::Other) + 1 && kNames.back() != nullptr);
  return kNames[static_cast<size_t>(operation)];
}

const char* name_of(RdmaDirection direction) { return direction == RdmaDirection::ToHost ? "to_host" : "from_host"; }

void add(CommandCounters& total, const CommandCounters& part) {
  for (size_t kind = 0; kind < kCommandKinds; ++kind) {
    total.answered[kind].add(part.answered[kind].get());
    for (size_t failure = 0; failure < kFailures; ++failure)
      total.failed[kind][failure].add(part.failed[kind][failure].get());
  }
}

void add(IoCounters& total, const IoCounters& part) {
  for (size_t path = 0; path < kDataPaths; ++path) {
    add(total.reads[path], part.reads[path]);
    add(total.writes[path], part.writes[path]);
  }
  for (size_t reason = 0; reason < kFallbacks; ++reason) add(total.fallbacks[reason], part.fallbacks[reason]);
  total.other_commands.add(part.other_commands.get());
  total.errors.add(part.errors.get());
  total.waits.add(part.waits.get());
  total.throttled.add(part.throttled.get());
  add(total.commands, part.commands);
  merge(total.latency.target, part.latency.target);
  merge(total.latency.device, part.latency.device);
  merge(total.latency.rdma, part.latency.rdma);
}

void add(TrafficCounters& total, const TrafficCounters& part) {
  for (size_t path = 0; path < kDataPaths; ++path) {
    add(total.reads[path], part.reads[path]);
    add(total.writes[path], part.writes[path]);
  }
  total.over_share.add(part.over_share.get());
}

}  // namespace nvmf::core
