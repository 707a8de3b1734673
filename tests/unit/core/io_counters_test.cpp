// How commands are counted.
#include "target/core/datapath/io_counters.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>

#include "target/nvme/command.h"

using namespace nvmf::core;

namespace {

uint64_t failed(const CommandCounters& counters, CommandKind kind, Failure failure) {
  return counters.failed[static_cast<size_t>(kind)][static_cast<size_t>(failure)].get();
}
uint64_t answered(const CommandCounters& counters, CommandKind kind) {
  return counters.answered[static_cast<size_t>(kind)].get();
}

TEST_CASE("Opcodes have their kind") {
  CHECK((kCommandKindOf[nvme_cmd_read] == CommandKind::Read));
  CHECK((kCommandKindOf[nvme_cmd_write] == CommandKind::Write));
  CHECK((kCommandKindOf[nvme_cmd_resv_acquire] == CommandKind::Reservation));
  CHECK((kCommandKindOf[0xc1] == CommandKind::Other));
}

TEST_CASE("Commands that reach no namespace have theirs by their queue, those of Fabrics by their type") {
  const auto name = [](uint8_t opcode, bool on_admin_queue, uint32_t nsid = 0) {
    nvmf::nvme::Sqe sqe{};
    sqe.opcode = opcode;
    sqe.nsid = nsid;
    return std::string(name_of(kind_without_namespace(sqe, on_admin_queue)));
  };
  CHECK(name(nvme_admin_identify, true) == "identify");
  CHECK(name(nvme_admin_get_log_page, true) == "get_log_page");
  CHECK(name(nvme_admin_keep_alive, true) == "keep_alive");
  CHECK(name(nvme_admin_format_nvm, true) == "other");
  CHECK(name(nvme_cmd_read, false) == "read");
  CHECK(name(nvme_admin_fabrics, true, nvme_fabrics_type_property_get) == "property_get");
  CHECK(name(nvme_admin_fabrics, false, nvme_fabrics_type_connect) == "connect");
  CHECK(name(nvme_admin_fabrics, false, 0x7f) == "other");
}

TEST_CASE("Statuses are told apart by what an operator would do about them, whatever their flags") {
  const struct {
    Status status;
    Failure failure;
  } rows[] = {
      {NVME_SC_INVALID_OPCODE, Failure::InvalidOpcode},
      {Status(NVME_SC_INVALID_FIELD).do_not_retry(), Failure::InvalidField},
      {NVME_SC_INVALID_FIELD | NVME_SC_MORE, Failure::InvalidField},
      {NVME_SC_LBA_RANGE, Failure::LbaOutOfRange},
      {NVME_SC_RESERVATION_CONFLICT, Failure::ReservationConflict},
      {NVME_SC_FUSED_FAIL, Failure::Aborted},
      {NVME_SC_ABORT_QUEUE, Failure::Aborted},
      {NVME_SC_SANITIZE_FAILED, Failure::OtherGeneric},
      {command_specific(NVME_SC_CONNECT_INVALID_HOST), Failure::CommandSpecific},
      {media_error(NVME_SC_COMPARE_FAILED), Failure::Compare},
      {media_error(NVME_SC_READ_ERROR), Failure::Media},
      {path_error(NVME_SC_ANA_INACCESSIBLE), Failure::Ana},
      {Status(7 << NVME_SCT_SHIFT | 1), Failure::Other},
  };
  for (const auto& row : rows) {
    CAPTURE(row.status.value());
    CHECK(std::string(name_of(failure_of(row.status))) == name_of(row.failure));
  }
}

TEST_CASE("No two kinds, and no two failures, have one name") {
  std::set<std::string> kinds;
  for (size_t kind = 0; kind < kCommandKinds; ++kind) kinds.insert(name_of(static_cast<CommandKind>(kind)));
  CHECK(kinds.size() == kCommandKinds);
  std::set<std::string> failures;
  for (size_t failure = 0; failure < kFailures; ++failure) failures.insert(name_of(static_cast<Failure>(failure)));
  CHECK(failures.size() == kFailures);
}

TEST_CASE("A command is counted by its kind, and by its failure where it failed") {
  CommandCounters counters;
  counters.count(CommandKind::Read, kSuccess);
  counters.count(CommandKind::Read, NVME_SC_LBA_RANGE);
  counters.count(CommandKind::Flush, kSuccess);
  CHECK(answered(counters, CommandKind::Read) == 2);
  CHECK(answered(counters, CommandKind::Flush) == 1);
  CHECK(failed(counters, CommandKind::Read, Failure::LbaOutOfRange) == 1);
  CHECK(failed(counters, CommandKind::Flush, Failure::LbaOutOfRange) == 0);
}

TEST_CASE("What a replaced view counted is kept, all of it") {
  const auto total = std::make_unique<IoCounters>();
  for (int replaced = 0; replaced < 2; ++replaced) {
    const auto part = std::make_unique<IoCounters>();
    part->reads[static_cast<size_t>(DataPath::Cmb)].bytes.add(4096);
    part->writes[static_cast<size_t>(DataPath::InCapsule)].commands.add(1);
    part->fallbacks[static_cast<size_t>(Fallback::PoolDry)].commands.add(2);
    part->other_commands.add(3);
    part->errors.add(4);
    part->waits.add(5);
    part->throttled.add(6);
    part->commands.count(CommandKind::Copy, NVME_SC_LBA_RANGE);
    part->latency.target[static_cast<size_t>(Operation::Other)].add(100);
    part->latency.device[static_cast<size_t>(Operation::Write)].add(200);
    part->latency.rdma[static_cast<size_t>(RdmaDirection::FromHost)].add(300);
    add(*total, *part);
  }
  CHECK(total->reads[static_cast<size_t>(DataPath::Cmb)].bytes.get() == 8192);
  CHECK(total->writes[static_cast<size_t>(DataPath::InCapsule)].commands.get() == 2);
  CHECK(total->fallbacks[static_cast<size_t>(Fallback::PoolDry)].commands.get() == 4);
  CHECK(total->other_commands.get() == 6);
  CHECK(total->errors.get() == 8);
  CHECK(total->waits.get() == 10);
  CHECK(total->throttled.get() == 12);
  CHECK(answered(total->commands, CommandKind::Copy) == 2);
  CHECK(failed(total->commands, CommandKind::Copy, Failure::LbaOutOfRange) == 2);
  CHECK(total->latency.target[static_cast<size_t>(Operation::Other)].sum_ns() == 200);
  CHECK(total->latency.device[static_cast<size_t>(Operation::Write)].sum_ns() == 400);
  CHECK(total->latency.rdma[static_cast<size_t>(RdmaDirection::FromHost)].count() == 2);
}

}  // namespace
