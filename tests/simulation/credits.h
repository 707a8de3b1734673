// What a queue pair, a poll group and a pool may hold at a time, looked at after each step: what is over becomes a
// fault of the fabric, once for each kind.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>

#include "target/daemon/peer_memory.h"
#include "tests/rnic/fabric.h"
#include "transport/rdma/transport.h"

namespace nvmf::simulation {

class Credits {
 public:
  explicit Credits(rnic::Fabric& fabric) : fabric_(fabric) {}

  void check(const rdma::Transport& transport, const daemon::PeerMemories& peer_memories);

 private:
  void check(const rdma::QueuePair& queue_pair);
  void check(rdma::PollGroup& group);
  void check(const core::BufferPool& pool, const std::string& kind);
  void at_most(uint64_t held, uint64_t most, const char* what);

  rnic::Fabric& fabric_;
  std::unordered_map<const rdma::QueueSet*, uint64_t> requests_lent_;  // by the connected queue pairs
  std::set<std::string> told_;
  uint64_t steps_ = 0;
};

}  // namespace nvmf::simulation
