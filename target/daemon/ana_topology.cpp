#include "target/daemon/ana_topology.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <iterator>
#include <string_view>

namespace nvmf::daemon {

std::vector<uint16_t> distant_ports(const std::vector<uint16_t>& ports,
                                    const std::function<bool(uint16_t port)>& reaches) {
  std::vector<uint16_t> distant;
  std::ranges::copy_if(ports, std::back_inserter(distant), [&](uint16_t port) { return !reaches(port); });
  if (distant.size() == ports.size()) distant.clear();
  return distant;
}

AnaTopology::AnaTopology(const Parts& parts) : parts_(parts) {
  parts_.ports.on_listening_changed = [this] { changed(); };
}

void AnaTopology::changed() {
  if (std::exchange(looks_soon_, true)) return;
  boost::asio::post(parts_.io, [this] {
    looks_soon_ = false;
    follow();
    parts_.transport.turn_admin();  // what hosts are told of it
  });
}

// Ports that are optimized again come first: there is always one.
void AnaTopology::follow() {
  const Distant former = std::exchange(distant_, look());
  for (const auto& [space, ports] : former) {
    const auto now = distant_.find(space);
    const auto is_back = [&](uint16_t port) {
      return now == distant_.end() || std::ranges::find(now->second, port) == now->second.end();
    };
    std::vector<uint16_t> back;
    std::ranges::copy_if(ports, std::back_inserter(back), is_back);
    set(space, back, false);
  }
  for (const auto& [space, ports] : distant_) {
    set(space, ports, true);
    const auto before = former.find(space);
    if (ports != (before == former.end() ? std::vector<uint16_t>() : before->second)) tell(space, ports);
  }
}

AnaTopology::Distant AnaTopology::look() const {
  std::map<std::string_view, const config::Subsystem*> by_topology;
  for (const config::Subsystem& subsystem : parts_.running.config().subsystems)
    if (subsystem.ana_by_topology) by_topology[subsystem.nqn] = &subsystem;
  Distant all;
  for (const auto& served : parts_.storage.namespaces()) {
    const auto subsystem = by_topology.find(served->subsystem);
    const std::string& ssd = served->p2p.provider;
    if (subsystem == by_topology.end() || ssd.empty()) continue;
    all[{served->subsystem, served->wanted.nsid}] =
        distant_ports(subsystem->second->ports, [&](uint16_t port) { return reaches(port, ssd); });
  }
  return all;
}

bool AnaTopology::reaches(uint16_t port, const std::string& ssd) const {
  const std::vector<const rdma::Rnic*> rnics = parts_.transport.rnics_of(port);
  const auto moves_data = [&](const rdma::Rnic* rnic) {
    const p2p::SelfTestResult* const proof = parts_.peer_memories.proof(ssd, *rnic);
    return proof != nullptr && proof->usable_at(proof->active_mtu) &&
           parts_.peer_memories.pool(ssd, *rnic->io_groups().front()) != nullptr;
  };
  return !rnics.empty() && std::ranges::all_of(rnics, moves_data);
}

void AnaTopology::set(const Space& space, const std::vector<uint16_t>& ports, bool distant) {
  const auto& [nqn, nsid] = space;
  core::Subsystem* const subsystem = parts_.target.find_subsystem(nqn);
  if (subsystem == nullptr) return;
  for (const uint16_t port : ports) subsystem->set_ana_distant(nsid, port, distant);
}

void AnaTopology::tell(const Space& space, const std::vector<uint16_t>& distant) {
  const auto& [nqn, nsid] = space;
  const std::string where = distant.empty() ? "all its ports are optimized"
                                            : fmt::format("non-optimized on port {}, whose RNIC does not reach its CMB",
                                                          fmt::join(distant, ", "));
  parts_.events.tell(core::EventKind::Namespace,
                     fmt::format("namespace {} of {}: {} (\"ana\": \"by_topology\")", nsid, nqn, where), nqn);
}

}  // namespace nvmf::daemon
