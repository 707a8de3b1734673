// Where data moves: from each storage through its CMB or DRAM to each RNIC, and on to each host. Control thread;
// reads counters that the reactors write.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "target/core/datapath/memory.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/problems.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// Since the start, or since the namespace or the connection came.
struct Flow {
  uint64_t read_bytes = 0;
  uint64_t write_bytes = 0;
  uint64_t commands = 0;  // with data; not counted for hosts
};

struct FlowsOnRnic {
  std::string rdma_device;
  std::array<Flow, core::kDataPaths> paths{};
};

// An SSD, a block device or a file with all its namespaces; or all namespaces in memory.
struct PicturedStorage {
  std::string name;  // PCI address of an SSD, else the path; "memory"
  std::string kind;  // "ssd", "block device", "file" or "memory"
  std::string model{};
  std::string provider{};  // the SSD whose CMB is used; empty: none
  uint64_t namespaces = 0;
  uint64_t cmb_bytes = 0;  // the storage's own
  uint64_t cmb_used_bytes = 0;
  std::vector<FlowsOnRnic> on_rnics{};
};

struct PicturedHost {
  std::string nqn;
  uint64_t io_queues = 0;
  std::vector<FlowsOnRnic> on_rnics{};
};

struct Picture {
  std::vector<std::string> rdma_devices{};
  std::vector<PicturedStorage> storages{};
  std::vector<PicturedHost> hosts{};  // connected ones
};

Picture picture_of(const rdma::Transport& transport, const Storage& storage, const PeerMemories& peer_memories);

// The SSDs whose CMB namespaces want, with the result of their self-tests.
std::vector<CmbCondition> cmb_conditions_of(const PeerMemories& peer_memories);

}  // namespace nvmf::daemon
