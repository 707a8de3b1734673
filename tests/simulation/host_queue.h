// A host's queue: a queue pair of the model with what Linux's host driver does on it. Checks what the target does to
// its memory and its commands; what is wrong becomes a fault of the fabric.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "target/nvme/command.h"
#include "target/nvme/rdma_cm.h"
#include "tests/rnic/memory.h"
#include "tests/simulation/world.h"
#include "transport/verbs/cm.h"

namespace nvmf::simulation {

using Bytes = std::vector<std::byte>;

struct HostQueueOptions {
  uint16_t qid = 0;
  uint16_t depth = 32;       // entries; so many commands may be outstanding less one
  uint16_t cntlid = 0xffff;  // in the request of an I/O queue
  uint16_t receives = 32;    // posted for answers
  uint8_t responder_resources = 4;
  bool reposts = true;      // a receive for each answer that has come
  bool invalidates = true;  // asks for its keys to be invalidated with the answers
  uint32_t in_capsule_bytes = 4096;
  const char* address = World::kHostAddress;
  const char* target = World::kAddress;
};

enum class Direction : uint8_t { None, ToHost, ToController };

class HostQueue {
 public:
  enum class State : uint8_t { Resolving, Connecting, Connected, Rejected, Ended };

  // Begins to connect, from the host device's address.
  HostQueue(World& world, const HostQueueOptions& options);
  ~HostQueue();
  HostQueue(const HostQueue&) = delete;
  HostQueue& operator=(const HostQueue&) = delete;

  // Events and completions since the last turn.
  void turn();
  State state() const { return state_; }
  // Whether the target's end is there, and the network between. The host itself cannot know.
  bool reaches_target() const;
  std::optional<uint16_t> rejection() const { return rejection_; }

  // How many more commands may be sent.
  size_t room() const;
  bool has_room() const { return room() != 0; }
  // Sends a command; returns its CID. `data`: what the target is to read, or room for what it writes. It goes in the
  // capsule where `in_capsule` says so; otherwise so many descriptors of odd lengths describe it.
  uint16_t send(nvme::Sqe sqe, Direction direction, Bytes data, bool in_capsule = false, unsigned descriptors = 1);
  // None: not yet.
  std::optional<nvme::Cqe> answer(uint16_t cid) const;
  // What has been written to it, once it is answered. The command is over then; its CID may be used again when its SEND
  // has completed.
  Bytes take(uint16_t cid);
  // What the target has written for it so far.
  const Bytes& received(uint16_t cid) const { return commands_[cid].data; }
  size_t outstanding() const { return outstanding_; }
  // CIDs that are answered and not taken.
  std::vector<uint16_t> answered() const;

  void disconnect();
  // Loses its power: the target hears nothing of it.
  void die();
  // For hostile hosts: a message as it is. Answers to it mean nothing from then on.
  bool send_raw(const std::vector<ibv_sge>& pieces);
  // The same: RDMA into or out of memory of the target. A fault where the target's RNIC carries it out.
  bool intrude(ibv_wr_opcode opcode, uint64_t address, uint32_t key);
  ibv_sge some_memory(uint32_t bytes);
  ibv_qp* queue_pair() const { return queue_pair_.get(); }

 private:
  struct Command {
    bool live = false;      // from send() to its answer
    bool answered = false;  // from its answer to take()
    bool sending = false;   // from send() until its SEND has completed, which may be after its answer
    // As Linux's host does: only when all three are over is there room in the send queue, and is the capsule free.
    bool is_in_use() const { return live || answered || sending; }
    Direction direction = Direction::None;
    size_t data_bytes = 0;
    bool in_capsule = false;
    Bytes data;
    Bytes capsule;
    nvme::Cqe cqe{};
    verbs::MemoryRegion data_region;
    verbs::MemoryRegion capsule_region;
  };

  void on_cm_event(const rdma_cm_event& event);
  void make_queue_pair();
  void ask();
  void post_receive(size_t slot);
  void on_answer(const ibv_wc& completion);
  void prepare_data(Command& command);
  // Returns the bytes behind the SQE.
  size_t describe_data(Command& command, nvme::Sqe& sqe, unsigned descriptors);
  void on_access(const Command& command, const rnic::RemoteAccess& access);
  bool post(const ibv_sge* pieces, int count, uint64_t cid);
  void fault(const std::string& what) { world_.fabric.fault("queue " + std::to_string(options_.qid) + ": " + what); }

  World& world_;
  HostQueueOptions options_;
  State state_ = State::Resolving;
  std::optional<uint16_t> rejection_;
  verbs::CmChannel channel_;
  verbs::CmId id_;
  verbs::ProtectionDomain domain_;
  verbs::CompletionQueue completions_;
  Bytes answers_;
  verbs::MemoryRegion answers_region_;
  std::vector<Command> commands_;  // by CID
  size_t outstanding_ = 0;
  bool sends_raw_ = false;
  verbs::QueuePair queue_pair_;
};

}  // namespace nvmf::simulation
