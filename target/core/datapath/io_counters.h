// Counters of commands. Each has one writer, the reactor that answers the commands; any thread may read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "target/core/datapath/memory.h"
#include "target/core/datapath/status.h"
#include "target/core/reactor/counter.h"
#include "target/core/reactor/latency_histogram.h"
#include "target/nvme/command.h"

namespace nvmf::core {

// Commands as they are counted: by the opcodes of the NVM command set on I/O queues, of the admin command set on admin
// queues, by the types of Fabrics commands on both.
enum class CommandKind : uint8_t {
  Read,
  Write,
  Flush,
  WriteZeroes,
  DatasetManagement,
  Compare,
  Verify,
  Copy,
  WriteUncorrectable,
  Reservation,
  Identify,
  GetLogPage,
  GetFeatures,
  SetFeatures,
  AsyncEventRequest,
  Abort,
  KeepAlive,
  Connect,
  Disconnect,
  PropertyGet,
  PropertySet,
  Other,  // opcodes and types that are not supported
};
inline constexpr size_t kCommandKinds = 22;

// Classes of statuses other than success for the counters: the interesting ones by themselves, the others by type.
enum class Failure : uint8_t {
  InvalidOpcode,
  InvalidField,
  InvalidNamespace,
  LbaOutOfRange,
  DataTransfer,
  Internal,
  Aborted,      // its queue or its fused partner has ended, or the host aborted it
  Interrupted,  // the host should try again
  ReservationConflict,
  WriteProtected,
  Compare,  // the data differ
  Ana,      // the path cannot be used now
  Media,
  Sequence,
  OtherGeneric,
  CommandSpecific,
  Other,
};
inline constexpr size_t kFailures = 17;

// The kind of an opcode on an I/O queue, except Fabrics commands.
extern const std::array<CommandKind, 256> kCommandKindOf;
// The kind of a command that concerns no namespace; `sqe` is as the host sent it.
CommandKind kind_without_namespace(const nvme::Sqe& sqe, bool on_admin_queue);
// `status` is not success.
Failure failure_of(Status status);
const char* name_of(CommandKind kind);
const char* name_of(Failure failure);

struct PathCounters {
  Counter commands;
  Counter bytes;
};

struct CommandCounters {
  std::array<Counter, kCommandKinds> answered;  // whatever the status
  std::array<std::array<Counter, kFailures>, kCommandKinds> failed;

  void count(CommandKind kind, Status status) {
    answered[static_cast<size_t>(kind)].add(1);
    if (!status.ok()) [[unlikely]]
      failed[static_cast<size_t>(kind)][static_cast<size_t>(failure_of(status))].add(1);
  }
};

// The operations with a latency histogram.
enum class Operation : uint8_t { Read, Write, Other };
inline constexpr size_t kOperations = 3;
constexpr Operation operation_of(CommandKind kind) {
  return kind < CommandKind::Flush ? static_cast<Operation>(kind) : Operation::Other;
}
const char* name_of(Operation operation);

enum class RdmaDirection : uint8_t { ToHost, FromHost };
inline constexpr size_t kRdmaDirections = 2;
const char* name_of(RdmaDirection direction);

// The parts of a command's time. The clock is read once for all completions that a poll group finds in one turn, so a
// part that begins and ends within one turn has length 0.
struct LatencyCounters {
  std::array<LatencyHistogram, kOperations> target;  // from the capsule's arrival to the answer
  std::array<LatencyHistogram, kOperations>
      device;  // from the start of execution, when its data has arrived, to the answer
  // ToHost: from the answer to its completion, including the data, unless the reactor slept in between and cannot know
  // the time. FromHost: RDMA READs, including their wait for the connection's read depth.
  std::array<LatencyHistogram, kRdmaDirections> rdma;
};

// The counters of one namespace on one poll group.
struct IoCounters {
  std::array<PathCounters, kDataPaths> reads;
  std::array<PathCounters, kDataPaths> writes;
  std::array<PathCounters, kFallbacks> fallbacks;  // commands and bytes by reason; None stays 0
  Counter other_commands;                          // without data of their own: Flush, Write Zeroes, ...
  Counter errors;                                  // completed with another status than success
  Counter waits;                                   // commands that waited for a buffer
  Counter throttled;                               // commands that waited for their namespace's limit (rate_limit.h)
  CommandCounters commands;
  LatencyCounters latency;
};

// Successful commands with data of one path and direction.
struct TransferCounters {
  LatencyHistogram latency;  // of LatencyCounters::target; one for each command
  Counter bytes;
};

// The traffic of one queue, or of all queues of a host.
struct TrafficCounters {
  std::array<TransferCounters, kDataPaths> reads;
  std::array<TransferCounters, kDataPaths> writes;
  Counter over_share;  // commands that found the host's share of a pool used up: buffer_pool.h
};

// Adds the counts of `part`, which is being replaced. On the thread that writes `total`.
void add(CommandCounters& total, const CommandCounters& part);
void add(IoCounters& total, const IoCounters& part);
void add(TrafficCounters& total, const TrafficCounters& part);

}  // namespace nvmf::core
