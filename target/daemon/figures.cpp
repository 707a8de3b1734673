#include "target/daemon/figures.h"

#include <set>

#include "config/names.h"

namespace nvmf::daemon {
namespace {

NamespaceFigures of_namespace(const ServedNamespace& served) {
  return {.subsystem = served.subsystem,
          .nsid = served.wanted.nsid,
          .device = served.device->info().description,
          .p2p = std::string(config::to_string(served.wanted.p2p)),
          .provider = served.p2p.provider,
          .counters = counters_of(served)};
}

PollGroupFigures of_group(const rdma::Rnic& rnic, const std::string& thread, rdma::PollGroup& group) {
  return {.rdma_device = rnic.name(),
          .thread = thread,
          .queues = group.queue_pairs(),
          .commands_in_flight = group.commands_in_flight(),
          .dram_bytes = group.dram().size_bytes(),
          .dram_used_bytes = group.dram().used_bytes(),
          .other_commands = &group.other_commands()};
}

void add_groups(rdma::Rnic& rnic, std::vector<PollGroupFigures>& all) {
  for (size_t reactor = 0; reactor < rnic.io_groups().size(); ++reactor)
    all.push_back(of_group(rnic, std::to_string(reactor), *rnic.io_groups()[reactor]));
  all.push_back(of_group(rnic, "control", rnic.admin_group()));
}

std::vector<HostFigures> of_hosts(const core::HostTraffic& traffic) {
  std::vector<HostFigures> all;
  traffic.visit([&](const std::string& nqn, const core::TrafficCounters& total) {
    all.push_back({.nqn = nqn, .traffic = std::make_unique<core::TrafficCounters>()});
    core::add(*all.back().traffic, total);
  });
  return all;
}

// The SSDs whose memory a namespace uses.
std::vector<CmbFigures> of_cmbs(const rdma::Transport& transport, const Storage& storage,
                                const PeerMemories& peer_memories) {
  std::set<std::string> ssds;
  for (const auto& served : storage.namespaces())
    if (!served->p2p.provider.empty()) ssds.insert(served->p2p.provider);
  std::vector<CmbFigures> all;
  for (const std::string& ssd : ssds) {
    for (const auto& rnic : transport.rnics()) {
      CmbFigures part{.ssd = ssd, .rdma_device = rnic->name()};
      for (const auto& group : rnic->io_groups()) {
        const core::BufferPool* pool = peer_memories.pool(ssd, *group);
        if (pool == nullptr) continue;
        part.bytes += pool->size_bytes();
        part.used_bytes += pool->used_bytes();
      }
      if (part.bytes != 0) all.push_back(part);
    }
  }
  return all;
}

// `place`: where the namespace was a moment ago. Looking there first keeps the search of all of them short.
const ServedNamespace* find(const Storage& storage, const std::string& nqn, uint32_t nsid, size_t place) {
  const auto& all = storage.namespaces();
  const bool is_there = place < all.size() && all[place]->subsystem == nqn && all[place]->wanted.nsid == nsid;
  return is_there ? all[place].get() : storage.find(nqn, nsid);
}

}  // namespace

Figures figures_of(const core::Target& target, const rdma::Transport& transport, const Storage& storage,
                   const PeerMemories& peer_memories, const std::vector<const core::Reactor*>& reactors) {
  Figures figures;
  figures.target = &target;
  figures.connections = transport.connections();
  figures.transport = transport.counters();
  figures.hosts = of_hosts(target.host_traffic());
  for (const auto& rnic : transport.rnics()) add_groups(*rnic, figures.poll_groups);
  figures.cmbs = of_cmbs(transport, storage, peer_memories);
  for (const core::Reactor* reactor : reactors)
    figures.reactors.push_back({.index = reactor->index(),
                                .cpu_ns = reactor->cpu_ns(),
                                .polled_in_vain_us = reactor->polled_in_vain_us(),
                                .turns = reactor->turns(),
                                .sleeps = reactor->sleeps()});
  return figures;
}

std::vector<ServedSource> served_namespaces_of(const Storage& storage) {
  std::vector<ServedSource> sources;
  sources.reserve(storage.namespaces().size());
  for (const auto& served : storage.namespaces()) {
    const size_t place = sources.size();
    sources.emplace_back([&storage, nqn = served->subsystem, nsid = served->wanted.nsid, place] {
      return find(storage, nqn, nsid, place);
    });
  }
  return sources;
}

std::vector<NamespaceSource> namespace_figures_of(const Storage& storage) {
  std::vector<NamespaceSource> sources;
  for (ServedSource& served : served_namespaces_of(storage))
    sources.emplace_back([served = std::move(served)] {
      const ServedNamespace* const now = served();
      return now == nullptr ? std::nullopt : std::optional(of_namespace(*now));
    });
  return sources;
}

std::unique_ptr<core::IoCounters> counters_of(const ServedNamespace& served) {
  auto total = std::make_unique<core::IoCounters>();
  core::add(*total, served.past);
  for (const core::IoNamespace* former : served.former_views) core::add(*total, former->counters);
  for (const OnGroup& place : served.on_groups)
    if (place.view) core::add(*total, place.view->counters);
  return total;
}

}  // namespace nvmf::daemon
