// What Prometheus is told: the daemon's counters as plain figures, and their text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "target/core/datapath/io_counters.h"
#include "target/core/subsystem/target.h"
#include "transport/rdma/transport_counters.h"

namespace nvmf::daemon {

struct NamespaceFigures {
  std::string subsystem;
  uint32_t nsid = 0;
  std::string device;
  std::string p2p;                             // the mode's word in the config
  std::string provider;                        // PCI address of the SSD whose CMB serves; empty: none does
  std::unique_ptr<core::IoCounters> counters;  // of all poll groups, and of the past
};

// One reactor, or the control thread, on one RDMA device.
struct PollGroupFigures {
  std::string rdma_device;
  std::string thread;  // "0", "1", ... or "control"
  uint64_t queues = 0;
  uint64_t commands_in_flight = 0;
  uint64_t dram_bytes = 0;
  uint64_t dram_used_bytes = 0;
  const core::CommandCounters* other_commands = nullptr;  // which reached no namespace
};

// What one host has moved, now and before.
struct HostFigures {
  std::string nqn;  // as the host says it
  std::unique_ptr<core::TrafficCounters> traffic;
};

// What one RDMA device has of one SSD's controller memory buffer.
struct CmbFigures {
  std::string ssd;  // PCI address
  std::string rdma_device;
  uint64_t bytes = 0;
  uint64_t used_bytes = 0;
};

struct ReactorFigures {
  unsigned index = 0;
  uint64_t cpu_ns = 0;
  uint64_t polled_in_vain_us = 0;
  uint64_t turns = 0;
  uint64_t sleeps = 0;
};

struct Figures {
  const core::Target* target = nullptr;
  uint64_t connections = 0;
  rdma::TransportCounters transport;
  std::vector<NamespaceFigures> namespaces;
  std::vector<HostFigures> hosts;
  std::vector<PollGroupFigures> poll_groups;
  std::vector<CmbFigures> cmbs;
  std::vector<ReactorFigures> reactors;
};

// In Prometheus' text format. Control thread. Labels are bounded by what is configured and who is connected.
std::string metrics_text(const Figures& figures);

}  // namespace nvmf::daemon
