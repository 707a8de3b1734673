// One queue of a host that may break every rule: a connection whose private data, capsules and moments are the
// caller's.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "target/nvme/command.h"
#include "target/nvme/rdma_cm.h"
#include "transport/verbs/cm.h"
#include "transport/verbs/verbs.h"

namespace nvmf::lab {

using std::chrono::milliseconds;

struct Address {
  std::string host;  // IPv4 literal
  uint16_t service = 4420;
};

struct HostQueueOptions {
  uint16_t receives = 64;  // posted for responses, at most 64
  bool reposts = true;     // one for each response that was taken
  std::string from;        // IPv4 literal of this machine; empty: what the route says
};

class HostQueue {
 public:
  // How the target answered a connection request.
  struct Answer {
    bool accepted = false;
    std::optional<uint16_t> rejection;  // RDMA-CM status of the private data; none: no such answer
    std::string event;                  // of the connection manager, for messages
  };
  // How far the host's side of the handshake goes.
  enum class Handshake { Whole, StopBeforeReadyToUse };

  static constexpr size_t kDataBytes = size_t{256} * 1024;
  static constexpr size_t kCapsuleBytes = 64 + 16384 + 64;  // one byte more than any target takes, and then some

  // Resolves the address and makes a queue pair. Throws std::exception when this machine cannot.
  explicit HostQueue(const Address& address, const HostQueueOptions& options = {});

  Answer connect(std::span<const std::byte> private_data, uint8_t responder_resources = 16,
                 Handshake handshake = Handshake::Whole);
  // Sends bytes as they are. False when the connection does not take them any more.
  bool send(std::span<const std::byte> capsule);
  // Sends the first packet of a capsule of more than one, and breaks off: its own RNIC cannot read the rest.
  // `packet_bytes`: the path MTU. The connection is of no use then.
  bool send_half(uint32_t packet_bytes);
  // The next response; none when the connection ends, or nothing comes in time.
  std::optional<nvme::Cqe> response(milliseconds timeout);
  // True once the target (or an error) has ended the connection.
  bool closed(milliseconds timeout);

  // Registered memory that the target may read and write.
  std::span<std::byte> data() { return data_; }
  uint64_t data_address() const { return reinterpret_cast<uintptr_t>(data_.data()); }
  uint32_t data_key() const { return data_region_->rkey; }
  // For more memory that the target may read and write.
  ibv_pd* domain() const { return domain_.get(); }

 private:
  static constexpr size_t kReceives = 64;

  verbs::CmEvent await_event(milliseconds timeout);
  bool post(std::span<ibv_sge> pieces);
  void resolve(const Address& address);
  // One attempt, with a connection id of its own. None: resolved; else what came instead.
  std::optional<std::string> ask_for_address(const Address& address);
  void make_queue_pair();
  void post_receive(size_t slot);
  // Looks at completions and events without waiting.
  void turn();

  HostQueueOptions options_;
  std::vector<std::byte> data_;
  std::vector<std::byte> capsule_;
  std::array<nvme::Cqe, kReceives> responses_{};
  std::vector<size_t> arrived_;  // slots of responses_, oldest first
  bool send_busy_ = false;
  bool dead_ = false;

  verbs::CmChannel channel_;
  verbs::CmId id_;
  verbs::ProtectionDomain domain_;
  verbs::MemoryRegion data_region_;
  verbs::MemoryRegion capsule_region_;
  verbs::MemoryRegion response_region_;
  verbs::CompletionQueue completions_;
  verbs::QueuePair queue_pair_;
};

template <class T>
std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

}  // namespace nvmf::lab
