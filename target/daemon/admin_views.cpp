#include "target/daemon/admin_views.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "config/names.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/ana.h"
#include "target/daemon/stats.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;

json trust_of(const core::ProvenTransfers& proven) {
  const auto from = [](uint32_t mtu) { return mtu == core::ProvenTransfers::kNever ? json(nullptr) : json(mtu); };
  return {{"any_offset_from_mtu", from(proven.any_offset_from_mtu)},
          {"page_start_from_mtu", from(proven.page_start_from_mtu)}};
}

// Of a namespace that is neither served nor known to be missing.
constexpr char kNotYetOpened[] = "not opened yet: the daemon is starting, or a change is under way";

json p2p_of(const ServedNamespace& served) {
  return {{"mode", config::to_string(served.wanted.p2p)},
          {"provider", served.p2p.provider},
          {"verdict", served.p2p.verdict}};
}

json namespace_of(const config::Subsystem& subsystem, const config::Namespace& wanted) {
  return {{"subsystem", subsystem.nqn},           {"nsid", wanted.nsid},
          {"ana_group", wanted.ana_group},        {"read_only", wanted.read_only},
          {"visible_to", wanted.visible_to},      {"max_iops", wanted.max_iops},
          {"max_mib_per_s", wanted.max_mib_per_s}};
}

// Whether a queue's data may go through the CMB of a namespace, and if not, why.
json p2p_on(const core::Queue& queue, const rdma::Rnic& rnic, const ServedNamespace& served,
            const PeerMemories& peer_memories) {
  const auto say = [&](bool usable, const std::string& reason) {
    return json{{"nsid", served.wanted.nsid}, {"usable", usable}, {"reason", reason}};
  };
  if (served.p2p.provider.empty()) return say(false, served.p2p.verdict);
  const p2p::SelfTestResult* const proof = peer_memories.proof(served.p2p.provider, rnic);
  const std::string pair = "the CMB of " + served.p2p.provider + " with " + rnic.name();
  if (proof == nullptr) return say(false, pair + " was not tested");
  if (proof->usable_at(queue.path_mtu)) return say(true, served.p2p.verdict);
  const bool at_any = proof->usable_at(proof->active_mtu);
  return say(false, at_any ? pair + " was proved for path MTU " + std::to_string(proof->active_mtu) + ", but the " +
                                 "connection has " + std::to_string(queue.path_mtu)
                    : proof->findings.empty() ? pair + " is not proved"
                                              : pair + ": " + proof->findings.front());
}

json queue_of(const rdma::Connection& connection) {
  const core::Queue& queue = connection.queue();
  return {{"qid", queue.qid},
          {"depth", queue.depth},
          {"peer", connection.peer()},
          {"rnic", connection.rnic().name()},
          {"path_mtu", queue.path_mtu}};
}

// The queues of a controller by ascending QID, the admin queue first.
std::vector<const rdma::Connection*> queues_of(const core::Controller& controller, const rdma::Transport& transport) {
  std::vector<const rdma::Connection*> queues;
  transport.visit([&](const rdma::Connection& connection) {
    if (connection.queue().controller == &controller) queues.push_back(&connection);
  });
  std::ranges::sort(queues, {}, [](const rdma::Connection* one) { return one->queue().qid; });
  return queues;
}

// Which key the host has shown that it has.
json authentication_of(const core::Controller& controller) {
  const core::Authentication* const authentication = controller.authentication();
  if (authentication == nullptr) return {{"state", "not_required"}, {"key", ""}};
  if (!authentication->is_done()) return {{"state", "pending"}, {"key", ""}};
  return {{"state", "done"}, {"key", authentication->keys().host->fingerprint()}};
}

// The NQNs of the hosts that must authenticate, each once.
json authenticated_hosts(const core::SubsystemOptions& options) {
  std::set<std::string> names;
  for (const core::AuthenticatedHost& host : options.hosts) names.insert(host.nqn);
  return names;
}

json controller_of(const core::Controller& controller, const std::vector<const rdma::Connection*>& queues,
                   const Storage& storage, const PeerMemories& peer_memories) {
  json list = json::array();
  for (const rdma::Connection* connection : queues) list.push_back(queue_of(*connection));
  json p2p = json::array();
  if (!queues.empty())
    for (const auto& served : storage.namespaces())
      if (served->subsystem == controller.subsystem().nqn())
        p2p.push_back(p2p_on(queues.back()->queue(), queues.back()->rnic(), *served, peer_memories));
  return {{"subsystem", controller.subsystem().nqn()},
          {"discovery", controller.subsystem().is_discovery()},
          {"cntlid", controller.cntlid()},
          {"port", controller.port_id()},
          {"peer", controller.peer()},
          {"ready", controller.ready()},
          {"authentication", authentication_of(controller)},
          {"keep_alive_ms", controller.keep_alive().timer_ms()},
          {"queues", std::move(list)},
          {"p2p", std::move(p2p)}};
}

json pair_of(const PeerMemories::Pair& pair) {
  json pools = json::array();
  for (const core::BufferPool* pool : pair.pools)
    pools.push_back({{"size_bytes", pool->size_bytes()}, {"used_bytes", pool->used_bytes()}});
  return {{"rnic", pair.rnic->name()},
          {"active_mtu", pair.proof->active_mtu},
          {"host_reads", trust_of(pair.proof->host_reads)},
          {"host_writes", trust_of(pair.proof->host_writes)},
          {"findings", pair.proof->findings},
          {"remedies", pair.proof->remedies},
          {"pools", std::move(pools)}};
}

}  // namespace

json subsystems_view(const core::Target& target) {
  json list = json::array();
  for (const auto& subsystem : target.subsystems()) {
    const core::SubsystemOptions& options = subsystem->options();
    list.push_back({{"nqn", options.nqn},
                    {"serial", options.serial},
                    {"model", options.model},
                    {"ports", options.ports},
                    {"allow_any_host", options.allow_any_host},
                    {"allowed_hosts", options.allowed_hosts},
                    {"hosts", authenticated_hosts(options)},
                    {"controllers", subsystem->controllers().size()},
                    {"namespaces", subsystem->namespaces().size()},
                    {"ana", ana_states(*subsystem)}});
  }
  return list;
}

json namespaces_view(const config::Config& config, const Storage& storage, const MissingNamespaces& missing) {
  json list = json::array();
  for (const config::Subsystem& subsystem : config.subsystems) {
    for (const config::Namespace& wanted : subsystem.namespaces) {
      json one = namespace_of(subsystem, wanted);
      if (const ServedNamespace* served = storage.find(subsystem.nqn, wanted.nsid)) {
        const backend::DeviceInfo& device = served->device->info();
        one.update({{"state", "served"},
                    {"device", device.description},
                    {"block_bytes", 1U << device.lba_shift},
                    {"size_bytes", device.block_count << device.lba_shift},
                    {"p2p", p2p_of(*served)}});
      } else {
        const auto why = missing.find({subsystem.nqn, wanted.nsid});
        one.update({{"state", "missing"}, {"reason", why == missing.end() ? kNotYetOpened : why->second}});
      }
      list.push_back(std::move(one));
    }
  }
  return list;
}

json connections_view(core::Target& target, const rdma::Transport& transport, const Storage& storage,
                      const PeerMemories& peer_memories) {
  std::map<std::string, json> hosts;
  const auto add = [&](const core::Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers())
      hosts[controller->host().nqn].push_back(
          controller_of(*controller, queues_of(*controller, transport), storage, peer_memories));
  };
  for (const auto& subsystem : target.subsystems()) add(*subsystem);
  if (const core::Subsystem* discovery = target.find_subsystem(nvme::kDiscoveryNqn)) add(*discovery);
  json list = json::array();
  for (auto& [nqn, controllers] : hosts) list.push_back({{"nqn", nqn}, {"controllers", std::move(controllers)}});
  return {{"hosts", std::move(list)}};
}

json p2p_view(const PeerMemories& peer_memories, const Storage& storage) {
  json ssds = json::array();
  for (const PeerMemories::Prepared& ssd : peer_memories.prepared()) {
    json rnics = json::array();
    for (const PeerMemories::Pair& pair : ssd.pairs) rnics.push_back(pair_of(pair));
    ssds.push_back(
        {{"address", ssd.bdf}, {"cmb_bytes", ssd.cmb_bytes}, {"failure", ssd.failure}, {"rnics", std::move(rnics)}});
  }
  json namespaces = json::array();
  for (const auto& served : storage.namespaces()) {
    json one = p2p_of(*served);
    one.update({{"subsystem", served->subsystem}, {"nsid", served->wanted.nsid}, {"fallbacks", fallbacks(*served)}});
    namespaces.push_back(std::move(one));
  }
  return {{"ssds", std::move(ssds)}, {"namespaces", std::move(namespaces)}};
}

}  // namespace nvmf::daemon
