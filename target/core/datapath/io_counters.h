// What is counted of commands. One writer each, the reactor that answers them; any thread may read.
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

// Statuses other than success, as they are counted: those that tell an operator something, the others by their type.
enum class Failure : uint8_t {
  InvalidOpcode,
  InvalidField,
  InvalidNamespace,
  LbaOutOfRange,
  DataTransfer,
  Internal,
  Aborted,      // its queue or its fused partner is gone, or the host asked for it
  Interrupted,  // the host is to try again
  ReservationConflict,
  WriteProtected,
  Compare,  // the data differ
  Ana,      // the way is not usable now
  Media,
  Sequence,
  OtherGeneric,
  CommandSpecific,
  Other,
};
inline constexpr size_t kFailures = 17;

// Of an opcode on an I/O queue, Fabrics commands excepted.
extern const std::array<CommandKind, 256> kCommandKindOf;
// Of a command that reaches no namespace; `sqe` is as the host sent it.
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

// Whose latency it is; a histogram has one of each.
enum class Operation : uint8_t { Read, Write, Other };
inline constexpr size_t kOperations = 3;
constexpr Operation operation_of(CommandKind kind) {
  return kind < CommandKind::Flush ? static_cast<Operation>(kind) : Operation::Other;
}
const char* name_of(Operation operation);

enum class RdmaDirection : uint8_t { ToHost, FromHost };
inline constexpr size_t kRdmaDirections = 2;
const char* name_of(RdmaDirection direction);

// Where the time of a command goes. The clock is read once for all that a poll group finds in one look at its
// completions, so what begins and ends within one look took no time.
struct LatencyCounters {
  std::array<LatencyHistogram, kOperations> target;  // from the capsule's arrival to the answer
  std::array<LatencyHistogram, kOperations> device;  // from the command's execution, its data being here, to the answer
  // ToHost: from the answer to its completion, data included, as far as the reactor did not sleep in between: then it
  // does not see when. FromHost: of the RDMA READs, what they wait for the connection's read depth included.
  std::array<LatencyHistogram, kRdmaDirections> rdma;
};

// Of one namespace on one poll group.
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

// Successful commands with data that went one way.
struct TransferCounters {
  LatencyHistogram latency;  // of LatencyCounters::target; one for each command
  Counter bytes;
};

// Of one queue, or of all of a host's.
struct TrafficCounters {
  std::array<TransferCounters, kDataPaths> reads;
  std::array<TransferCounters, kDataPaths> writes;
};

// Adds what `part` counted, for when it is replaced. The writer's thread of `total`.
void add(CommandCounters& total, const CommandCounters& part);
void add(IoCounters& total, const IoCounters& part);
void add(TrafficCounters& total, const TrafficCounters& part);

}  // namespace nvmf::core
