// A command in this transport: the core's request with the work requests for its data and its answer.
#pragma once

#include <infiniband/verbs.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "target/core/datapath/request.h"

namespace nvmf::rdma {

struct QueuePair;
struct QueueSet;

// Where a command capsule arrives: 64 bytes for the SQE, and page-aligned room for in-capsule data, so that a disk can
// write straight from it.
struct ReceiveSlot {
  std::byte* sqe = nullptr;
  std::byte* in_capsule = nullptr;
  ibv_sge pieces[2];
  ibv_recv_wr receive;
  QueueSet* queues = nullptr;       // to whose shared receive queue it is posted
  uint64_t sequence = 0;            // while it is with the shared receive queue: SlotLedger
  QueuePair* queue_pair = nullptr;  // of the capsule in the slot, until the capsule is answered
  uint64_t capsule = 0;             // its number, which no other capsule of the slot has had: its SlotLedger sequence
  uint32_t capsule_bytes = 0;
  uint64_t arrived_ns = 0;      // when the capsule was found
  int fixed_index = -1;         // io_uring registered buffer that contains in_capsule
  ReceiveSlot* next = nullptr;  // the queue pair's capsules that wait for a request object
  bool aborted = false;         // while it waits in that list
  bool answer_waits = false;    // the command is over, and its answer waits for send queue entries

  const nvme::Sqe& command() const { return *reinterpret_cast<const nvme::Sqe*>(sqe); }
};

// What a completion's wr_id means, in its low bits: requests are aligned.
enum class Completion : uint64_t {
  Response = 0,     // the SEND that ends a command
  ReadDone = 1,     // the last of a run of RDMA READs
  Unsignalled = 2,  // data, followed by one of the others: reported only when it failed or was flushed
};
inline constexpr uint64_t kCompletionMask = 3;
inline Completion completion_of(uint64_t wr_id) { return static_cast<Completion>(wr_id & kCompletionMask); }

struct alignas(64) RdmaRequest : core::Request {
  QueuePair* queue_pair = nullptr;
  ReceiveSlot* slot = nullptr;      // until the response is posted
  RdmaRequest* next = nullptr;      // free list, or the queue pair's waiting lists
  RdmaRequest* previous = nullptr;  // of those that wait to read, with the list that they are in
  const void* waits_to_read_in = nullptr;
  RdmaRequest* next_lent = nullptr;  // of its queue pair's, in use or not
  uint8_t segments_read = 0;         // RDMA READs that have completed
  uint8_t segments_in_flight = 0;
  uint16_t posted = 0;  // send queue entries to give back when the response completes
  core::DataPath path = core::DataPath::Dram;
  uint64_t executed_ns = 0;      // 0: not yet
  uint64_t moving_since_ns = 0;  // since when the RNIC moves its data, in either direction; 0: it does not
  uint32_t naps_before = 0;      // the poll group's naps when the answer was posted

  // The first segment's work request; further segments take theirs from the poll group (ExtraSegments).
  ibv_sge data_piece;
  ibv_send_wr transfer_work;
  ibv_sge response_piece;
  ibv_send_wr response;

  // For a request that is in no list: its data is on the way from the host, and it has not been executed.
  bool is_reading() const {
    return transfer == core::Transfer::HostToController && pointer.kind == core::DataPointer::Kind::Remote &&
           segments_read < pointer.segment_count;
  }
  uint64_t completion_id(Completion what) const {
    return reinterpret_cast<uintptr_t>(this) | static_cast<uint64_t>(what);
  }
};

inline RdmaRequest& request_of(uint64_t wr_id) { return *std::bit_cast<RdmaRequest*>(wr_id & ~kCompletionMask); }

}  // namespace nvmf::rdma
