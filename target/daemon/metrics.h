// The metrics for Prometheus: the daemon's counters as plain numbers, and their text.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/core/datapath/io_counters.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/slices.h"
#include "target/daemon/state_watch.h"
#include "transport/rdma/transport_counters.h"

namespace nvmf::daemon {

struct NamespaceFigures {
  std::string subsystem;
  uint32_t nsid = 0;
  std::string device;
  std::string p2p;                             // the mode's word in the config
  std::string provider;                        // PCI address of the SSD whose CMB is used; empty: none
  std::unique_ptr<core::IoCounters> counters;  // sums over all poll groups, past ones included
};

// One reactor, or the control thread, on one RNIC.
struct PollGroupFigures {
  std::string rdma_device;
  std::string thread;  // "0", "1", ... or "control"
  uint64_t queues = 0;
  uint64_t commands_in_flight = 0;
  uint64_t dram_bytes = 0;
  uint64_t dram_used_bytes = 0;
  const core::CommandCounters* other_commands = nullptr;  // commands that concern no namespace
};

// The data that one host has moved since the start.
struct HostFigures {
  std::string nqn;  // as the host gives it
  std::unique_ptr<core::TrafficCounters> traffic;
};

// The part of one SSD's CMB that one RNIC has.
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

struct PortFigures {
  uint16_t id = 0;
  std::string address;
  std::string state;     // one of kPortStates
  std::string reason{};  // why it waits
};
inline constexpr std::array<const char*, 4> kPortStates = {"listening", "waiting", "draining", "drained"};

// What an operator must know of before hosts do.
struct HealthFigures {
  std::vector<PortFigures> ports;
  uint64_t missing_namespaces = 0;
  uint64_t unsaved_changes = 0;
  std::optional<bool> reload_succeeded{};  // the last one; none: the config file was read once only
  uint64_t reload_time_s = 0;              // of it, since 1970
  std::string metrics_fault{};             // why the metrics address is not served; empty: it is, or there is none
  std::string state_dir_fault{};           // why nothing can be written to the state directory; empty: it can be
  uint64_t unsaved_identifiers = 0;        // namespaces whose identifiers could not be saved there
  uint64_t displaced_namespaces = 0;       // whose file was removed or replaced since it was opened
  uint64_t unreadable_keys = 0;            // hosts' key files that could not be read when they were read last
  StateWatch::Refused refused_state{};     // changes of hosts that could not be saved there, by HostState
};

struct Figures {
  const core::Target* target = nullptr;
  uint64_t connections = 0;
  rdma::TransportCounters transport;
  std::vector<HostFigures> hosts;
  std::vector<PollGroupFigures> poll_groups;
  std::vector<CmbFigures> cmbs;
  std::vector<ReactorFigures> reactors;
  HealthFigures health;
};

// A namespace whose figures are collected when its turn comes; none: it is not served any more.
using NamespaceSource = std::function<std::optional<NamespaceFigures>()>;

// In Prometheus' text format. Control thread. The number of labels is bounded by the config and the connected hosts.
// It takes several turns of the thread (slices.h); what `figures` points to in poll groups is read in the first.
boost::asio::awaitable<std::string> metrics_text(Figures figures, std::vector<NamespaceSource> namespaces,
                                                 SliceClock now = std::chrono::steady_clock::now);

}  // namespace nvmf::daemon
