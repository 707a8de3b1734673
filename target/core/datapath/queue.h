// A queue of a controller at the level of the protocol: one submission and one completion queue, one connection.
//
// The transport owns it, from the connection request to the end of the drain. It lives on one thread: admin queues on
// the control thread, I/O queues on a reactor. The fields are grouped by the thread that may touch them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "target/core/datapath/denial.h"
#include "target/core/datapath/error_log.h"
#include "target/core/datapath/io_counters.h"
#include "target/core/datapath/memory.h"
#include "target/core/datapath/request.h"
#include "target/core/datapath/write_gate.h"
#include "target/core/datapath/zones.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::core {

class Controller;
class DeviceErrors;
class Throttle;
class Subsystem;
class Target;
struct IoNamespaceTable;

// The core's interface to a queue's connection. Control thread only.
class QueueLink {
 public:
  virtual ~QueueLink() = default;
  // Ends the connection; returns at once. Outstanding requests are finished, then Target::queue_closed() is called,
  // never from inside this call. Responses given to respond() before are sent first, for instance Disconnect's.
  // `reason` names the rule, for the log.
  virtual void disconnect(const std::string& reason) = 0;
  // Of an I/O queue, before disconnect(): the connection stays, but no further capsule is taken. Commands that wait for
  // anything but their disk are dropped without an answer; what a disk has is waited for, and answered. `done`: nothing
  // that the host has sent can change the medium any more. Called once, now or later, before Target::queue_closed().
  // Also while the connection ends.
  virtual void quiesce(std::function<void()> done) = 0;
  // The connection is ending, by disconnect() or by the host.
  virtual bool is_closing() const = 0;
  // Aborts the command of an I/O queue with this identifier, unless its disk has it (abort.h); `done` is told, now or
  // later, whether it was aborted. Its response is sent first. Also while the connection ends.
  virtual void abort(uint16_t cid, std::function<void(bool aborted)> done) = 0;
  // The same for all commands of the queue on a namespace; `done` is called when each parsed command is answered.
  virtual void abort_all(uint32_t nsid, std::function<void()> done) = 0;
  // Of an admin queue: of `wanted` I/O queues of the largest depth, as many as its RNIC has room for are kept free for
  // its controller, in place of what was before, until the connection ends. Returns how many.
  virtual uint32_t reserve_io_queues(uint32_t wanted) = 0;
  // The namespaces of `subsystem` for this queue's reactor and RNIC. Lives as long as the connection.
  virtual const IoNamespaceTable* io_namespaces(const Subsystem& subsystem) = 0;
  virtual uint16_t port_id() const = 0;
  // "192.0.2.7:41512", for messages.
  virtual const std::string& peer() const = 0;
  // The address by which the host came: "192.0.2.1".
  virtual const std::string& local_address() const = 0;
};

// What becomes of the commands that arrive on a queue, Connect and Authentication Send and Receive excepted; of an
// admin queue only Unauthenticated and Dropped count.
enum class Admission : uint8_t {
  Refused,          // Command Sequence Error: the queue has no controller
  Admitted,         // they run
  Unauthenticated,  // Authentication Required
  Dropped,          // without an answer, for good: the queue is being ended (kNoAnswer)
};

// The state of a queue's fused commands (fused.h).
enum class FusedPhase : uint8_t { None, AwaitsSecond, FirstFailed, Closed };

struct Queue {
  // Fixed before the first capsule arrives.
  Target* target = nullptr;
  QueueLink* link = nullptr;
  uint16_t qid = 0;               // from the RDMA-CM private data; Connect must name the same
  uint16_t depth = 0;             // entries the transport has room for: Connect's SQSIZE + 1 is at most this
  uint32_t in_capsule_bytes = 0;  // room after the SQE
  Mailbox* control = nullptr;     // the control thread's; null for a queue that lives there
  Mailbox* reactor = nullptr;     // the reactor's; null for a queue on the control thread
  uint32_t path_mtu = 0;          // bytes, of the connection
  uint16_t share = 0;  // of each pool (buffer_pool.h): its host address's number, below limits::kBufferShares

  // The queue's thread.
  uint16_t sqhd = 0;               // entries whose commands have been answered, modulo `size`
  uint16_t size = 0;               // entries, from Connect; 0 before
  bool flow_control = true;        // false: SQHD is FFFFh
  bool connected = false;          // Connect has succeeded
  bool connect_forwarded = false;  // an I/O queue's Connect is with the control thread
  FusedPhase fused_phase = FusedPhase::None;
  Request* fused_first = nullptr;                // of AwaitsSecond
  const IoNamespaceTable* namespaces = nullptr;  // I/O queues, once connected

  // Any thread.
  std::atomic<Admission> admission{Admission::Refused};  // the control thread decides
  std::atomic<bool> saw_command{false};                  // since the keep-alive timer last checked
  // Its host has set ACRE (host_behavior.h): failures say after how long the command should be repeated.
  std::atomic<bool> advanced_command_retry{false};

  // Written by the control thread, read by the queue's.
  DenialTable denied{};

  // Written by the queue's thread, read by the control thread.
  ErrorRing errors;
  TrafficCounters traffic;

  // The control thread.
  Controller* controller = nullptr;  // from Connect on
  // For I/O queues: their subsystem and host, from Connect to the end of the connection. The subsystem may be removed
  // before.
  const Subsystem* subsystem = nullptr;
  std::array<uint8_t, 16> hostid{};
};

inline bool is_unauthenticated(const Queue& queue) {
  return queue.admission.load(std::memory_order_relaxed) == Admission::Unauthenticated;
}

inline bool is_dropped(const Queue& queue) {
  return queue.admission.load(std::memory_order_relaxed) == Admission::Dropped;
}

// One poll group's view of a namespace, with which it executes commands; immutable except for its counters.
struct IoNamespace {
  uint32_t nsid = 0;
  uint8_t lba_shift = 9;
  uint64_t block_count = 0;
  IoChannel* channel = nullptr;
  uint32_t memory_alignment_bytes = 1;  // of the data's address, as the backend needs it; at most 4096
  NamespaceMemory memory;               // out of which hosts' reads are answered
  BufferPool* cmb = nullptr;            // null: no CMB memory for it on this RNIC
  P2pPolicy p2p;
  bool supports_deallocate = false;
  bool supports_write_zeroes = false;
  uint8_t own_commands = 0;  // OwnCommands
  CopyLimits copy{};
  WriteGate* gate = nullptr;              // of this reactor and RNIC; outlives the view
  Throttle* throttle = nullptr;           // null: no limit
  DeviceErrors* device_errors = nullptr;  // null: errors are not reported
  mutable uint32_t commands = 0;          // requests whose Request::ns it is: set_namespace()
  mutable IoCounters counters;
  Zones zones{};
};

// What the command is for, from now on; null: nothing. A view may go when no command is for it.
inline void set_namespace(Request& request, const IoNamespace* ns) {
  if (request.ns != nullptr) {
    NVMF_INVARIANT(request.ns->commands != 0);
    --request.ns->commands;
  }
  request.ns = ns;
  if (ns != nullptr) ++ns->commands;
}

// By NSID - 1; null when there is none.
struct IoNamespaceTable {
  std::vector<const IoNamespace*> by_nsid;
  uint32_t max_transfer_bytes = 0;  // MDTS

  const IoNamespace* find(uint32_t nsid) const { return nsid - 1 < by_nsid.size() ? by_nsid[nsid - 1] : nullptr; }
};

}  // namespace nvmf::core
