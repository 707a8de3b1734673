#include "target/daemon/core_options.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "target/core/datapath/limits.h"
#include "target/daemon/ana.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {
namespace {

// `wanted`: a port or a referral.
template <class Wanted>
core::Port address_of(uint16_t id, const Wanted& wanted) {
  core::Port port;
  port.id = id;
  port.address = wanted.address;
  port.service = wanted.service;
  port.ipv6 = wanted.family == config::AddressFamily::ipv6;
  port.wildcard = config::is_wildcard(wanted.address);
  return port;
}

// Targets that serve one subsystem, and have no ranges of their own, start somewhere each: their controllers'
// identifiers meet when one of them has made tens of thousands.
uint16_t first_cntlid(const config::Subsystem& wanted) {
  const config::Subsystem usual;
  if (wanted.cntlid_min != usual.cntlid_min || wanted.cntlid_max != usual.cntlid_max) return wanted.cntlid_min;
  std::random_device entropy;
  return std::uniform_int_distribution<uint16_t>(wanted.cntlid_min, wanted.cntlid_max)(entropy);
}

uint64_t machine_memory_bytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace

uint64_t slot_memory_bytes(uint64_t machine_bytes) {
  constexpr uint64_t kPartOfMachine = 8;
  return machine_bytes / kPartOfMachine;
}

rdma::PollGroupOptions group_options(const config::Config& config) {
  rdma::PollGroupOptions options;
  options.in_capsule_bytes = config.rdma.in_capsule_data_bytes;
  options.dram_pool_bytes = uint64_t{config.rdma.dram_pool_mib} << 20;
  options.max_transfer_bytes = config.rdma.mdts_bytes;
  options.slot_memory_bytes = slot_memory_bytes(machine_memory_bytes());
  return options;
}

core::Port port_of(const config::Port& wanted) {
  core::Port port = address_of(wanted.id, wanted);
  port.dscp = wanted.dscp;
  return port;
}

std::vector<core::Port> ports_of(const config::Config& config) {
  std::vector<core::Port> ports;
  for (const config::Port& wanted : config.ports) ports.push_back(port_of(wanted));
  return ports;
}

core::Referral referral_of(const config::Referral& wanted) {
  return {.port = address_of(wanted.port_id, wanted), .nqn = nvme::kDiscoveryNqn};
}

core::SubsystemOptions options_of(const config::Subsystem& wanted) {
  core::SubsystemOptions options;
  options.nqn = wanted.nqn;
  options.serial = wanted.serial;
  options.model = wanted.model;
  options.ports = wanted.ports;
  options.allow_any_host = wanted.allow_any_host;
  options.allowed_hosts = wanted.allowed_hosts;
  if (wanted.max_controllers) options.max_controllers = *wanted.max_controllers;
  if (wanted.max_controllers_per_host) options.max_controllers_per_host = *wanted.max_controllers_per_host;
  options.cntlid_min = wanted.cntlid_min;
  options.cntlid_max = wanted.cntlid_max;
  options.cntlid_first = first_cntlid(wanted);
  options.admin_label = wanted.admin_label.value_or("");
  options.subsystem_reset = wanted.subsystem_reset;
  options.permanent_write_protection = wanted.permanent_write_protection;
  return options;
}

core::TargetLimits limits_of(const config::Limits& wanted) {
  constexpr uint32_t kNone = core::TargetLimits::kNone;
  return {.max_controllers = wanted.max_controllers.value_or(kNone),
          .max_controllers_per_host = wanted.max_controllers_per_host.value_or(kNone),
          .max_io_queues = wanted.max_io_queues.value_or(kNone),
          .max_io_queues_per_host = wanted.max_io_queues_per_host.value_or(kNone)};
}

core::TargetOptions target_options(const config::Config& config) {
  core::TargetOptions options;
  options.max_transfer_bytes = config.rdma.mdts_bytes;
  options.max_queue_depth = config.rdma.max_queue_depth;
  options.max_io_queues = config.rdma.max_io_queues;
  options.in_capsule_bytes = config.rdma.in_capsule_data_bytes;
  options.discovery_nqn = config.discovery.nqn.value_or("");
  return options;
}

void set_ana_states(core::Subsystem& subsystem, const config::Subsystem& wanted) {
  for (const uint16_t port : wanted.ports) {
    for (uint32_t group = 1; group <= core::limits::kMaxAnaGroups; ++group) {
      const auto named = std::ranges::find_if(
          wanted.ana, [&](const config::AnaGroup& one) { return one.group == group && one.port == port; });
      subsystem.set_ana_state(group, port,
                              named == wanted.ana.end() ? core::AnaState::Optimized : ana_state_of(named->state));
    }
  }
}

}  // namespace nvmf::daemon
