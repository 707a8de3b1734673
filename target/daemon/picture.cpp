#include "target/daemon/picture.h"

#include <algorithm>
#include <map>

#include "target/core/subsystem/controller.h"

namespace nvmf::daemon {
namespace {

const char* name_of(backend::DeviceKind kind) {
  switch (kind) {
    case backend::DeviceKind::Nvme:
      return "ssd";
    case backend::DeviceKind::Block:
      return "block device";
    case backend::DeviceKind::File:
      return "file";
    case backend::DeviceKind::Dax:
      return "dax";
    case backend::DeviceKind::Memory:
      break;
  }
  return "memory";
}

FlowsOnRnic& on_rnic(std::vector<FlowsOnRnic>& all, const std::string& rdma_device) {
  const auto found = std::ranges::find(all, rdma_device, &FlowsOnRnic::rdma_device);
  return found != all.end() ? *found : all.emplace_back(FlowsOnRnic{.rdma_device = rdma_device});
}

// A partition or a path to an SSD's block device is that SSD, too.
PicturedStorage pictured(const ServedNamespace& served) {
  const backend::DeviceInfo& device = served.device->info();
  const backend::DeviceKind kind = spec_of(served.wanted.backend).kind;
  if (device.pci_address) return {.name = *device.pci_address, .kind = "ssd", .model = device.model};
  return {.name = kind == backend::DeviceKind::Memory ? "memory" : device.path,
          .kind = name_of(kind),
          .model = device.model};
}

void add_namespace(const ServedNamespace& served, PicturedStorage& storage) {
  ++storage.namespaces;
  if (!served.p2p.provider.empty()) storage.provider = served.p2p.provider;
  for (const OnGroup& place : served.on_groups) {
    if (!place.view) continue;
    FlowsOnRnic& flows = on_rnic(storage.on_rnics, place.rnic->name());
    for (size_t path = 0; path < core::kDataPaths; ++path) {
      const core::PathCounters& reads = place.view->counters.reads[path];
      const core::PathCounters& writes = place.view->counters.writes[path];
      flows.paths[path].read_bytes += reads.bytes.get();
      flows.paths[path].write_bytes += writes.bytes.get();
      flows.paths[path].commands += reads.commands.get() + writes.commands.get();
    }
  }
}

std::vector<PicturedStorage> storages_of(const Storage& storage, const PeerMemories& peer_memories) {
  std::map<std::string, PicturedStorage> by_name;
  for (const auto& served : storage.namespaces()) {
    PicturedStorage one = pictured(*served);
    const std::string name = one.name;
    add_namespace(*served, by_name.try_emplace(name, std::move(one)).first->second);
  }
  for (const PeerMemories::Prepared& ssd : peer_memories.prepared()) {
    const auto found = by_name.find(ssd.bdf);
    if (found == by_name.end()) continue;
    found->second.cmb_bytes = ssd.cmb_bytes;
    for (const PeerMemories::Pair& pair : ssd.pairs)
      for (const core::BufferPool* pool : pair.pools) found->second.cmb_used_bytes += pool->used_bytes();
  }
  std::vector<PicturedStorage> storages;
  for (auto& [name, one] : by_name) storages.push_back(std::move(one));
  return storages;
}

void add_traffic(const core::TrafficCounters& traffic, FlowsOnRnic& flows) {
  for (size_t path = 0; path < core::kDataPaths; ++path) {
    flows.paths[path].read_bytes += traffic.reads[path].bytes.get();
    flows.paths[path].write_bytes += traffic.writes[path].bytes.get();
  }
}

std::vector<PicturedHost> hosts_of(const rdma::Transport& transport) {
  std::map<std::string, PicturedHost> by_nqn;
  transport.visit([&](const rdma::Connection& connection) {
    const core::Queue& queue = connection.queue();
    if (queue.controller == nullptr || queue.controller->subsystem().is_discovery()) return;
    const std::string& nqn = queue.controller->host().nqn;
    PicturedHost& host = by_nqn.try_emplace(nqn, PicturedHost{.nqn = nqn}).first->second;
    if (queue.qid != 0) ++host.io_queues;
    add_traffic(queue.traffic, on_rnic(host.on_rnics, connection.rnic().name()));
  });
  std::vector<PicturedHost> hosts;
  for (auto& [nqn, host] : by_nqn) hosts.push_back(std::move(host));
  return hosts;
}

}  // namespace

Picture picture_of(const rdma::Transport& transport, const Storage& storage, const PeerMemories& peer_memories) {
  Picture picture{.storages = storages_of(storage, peer_memories), .hosts = hosts_of(transport)};
  for (const auto& rnic : transport.rnics()) picture.rdma_devices.push_back(rnic->name());
  return picture;
}

std::vector<CmbCondition> cmb_conditions_of(const PeerMemories& peer_memories) {
  std::vector<CmbCondition> conditions;
  for (const PeerMemories::Prepared& ssd : peer_memories.prepared()) {
    CmbCondition& one = conditions.emplace_back(CmbCondition{.ssd = ssd.bdf, .failure = ssd.failure});
    for (const PeerMemories::Pair& pair : ssd.pairs)
      one.pairs.push_back({.rdma_device = pair.rnic->name(),
                           .is_proved = pair.proof->usable_at(pair.proof->active_mtu),
                           .findings = pair.proof->findings,
                           .remedies = pair.proof->remedies});
  }
  return conditions;
}

}  // namespace nvmf::daemon
