// The namespaces that a config names, opened: their devices, the reactors' channels to them, and what each poll group
// may do with them. Control thread, before the reactors start.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "target/backend/device.h"
#include "target/core/rate_limit.h"
#include "target/core/target.h"
#include "target/daemon/peer_memory.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// One namespace in service.
struct ServedNamespace {
  const core::Subsystem* subsystem = nullptr;
  uint32_t nsid = 0;
  std::string description;  // of the device
  core::P2pMode p2p = core::P2pMode::Off;
  std::string p2p_provider;                                // PCI address of the SSD whose CMB serves; empty: none does
  std::string p2p_verdict;                                 // why data goes, or does not go, through a CMB: one sentence
  std::unique_ptr<core::FusedTurns> fused_turns;           // null: a capsule has no room for a block
  std::unique_ptr<core::RateLimit> limit;                  // null: none
  std::vector<std::unique_ptr<core::Throttle>> throttles;  // one per view
  // One per poll group, reactor by reactor for each RNIC.
  std::vector<std::unique_ptr<core::IoNamespace>> on_group;
};

// A reactor's engine, by the reactor's index.
using Engines = std::vector<backend::UringEngine*>;

class Storage {
 public:
  // Opens what it can: a namespace whose device fails, or whose "p2p": "require" cannot be met, is logged with its
  // place in the config and left out.
  Storage(const config::Config& config, core::Target& target, Engines engines,
          const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, PeerMemories& peer_memories,
          core::Mailbox& control_mailbox);

  const std::vector<std::unique_ptr<ServedNamespace>>& namespaces() const { return served_; }

 private:
  void serve(core::Subsystem& subsystem, const config::Namespace& wanted);
  void choose_peer_memory(const config::Namespace& wanted, const backend::Device& device, ServedNamespace& served);
  void place_on_groups(const config::Namespace& wanted, backend::Device& device, ServedNamespace& served);
  void set_limits(const config::Namespace& wanted, ServedNamespace& served);
  void add_gates(uint8_t lba_shift, ServedNamespace& served);
  void publish_tables(const core::Subsystem& subsystem);

  const config::Config& config_;
  Engines engines_;
  const std::vector<std::unique_ptr<rdma::Rnic>>& rnics_;
  PeerMemories& peer_memories_;
  core::Mailbox& control_mailbox_;
  std::vector<std::unique_ptr<backend::Device>> devices_;
  std::vector<std::unique_ptr<core::IoChannel>> channels_;
  std::vector<std::unique_ptr<ServedNamespace>> served_;
};

}  // namespace nvmf::daemon
