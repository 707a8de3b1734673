#include "target/daemon/peer_memory.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "p2p/nvme_probe.h"
#include "target/core/limits.h"

namespace nvmf::daemon {
namespace {

const p2p::Sysfs kSysfs{};

std::unique_ptr<p2p::SsdProbe> open_probe(const std::string& path, const p2p::CmbMapping& mapping) {
  if (path.empty()) return nullptr;
  try {
    return std::make_unique<p2p::NvmeProbe>(path, mapping, p2p::CmbRange{});
  } catch (const std::exception& error) {
    spdlog::warn("the SSD cannot bear witness in the self-test of its CMB: {}", error.what());
    return nullptr;
  }
}

// The first port that is up: a device's ports share its way to the PCI bus.
uint8_t active_port(const rdma::Rnic& rnic) {
  for (uint8_t port = 1; port <= rnic.device().phys_port_cnt; ++port)
    if (verbs::query_port(rnic.context(), port).state == IBV_PORT_ACTIVE) return port;
  return 1;
}

bool proves_anything(const core::ProvenTransfers& proven) {
  return proven.page_start_from_mtu != core::ProvenTransfers::kNever;
}

}  // namespace

PeerMemories::PeerMemories(const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, uint32_t max_transfer_bytes)
    : rnics_(rnics), max_transfer_bytes_(max_transfer_bytes) {}

bool PeerMemories::prepare(const std::string& bdf, const std::string& probe_path) {
  const auto [place, fresh] = ssds_.try_emplace(bdf);
  Ssd& ssd = place->second;
  if (!fresh) return ssd.failure.empty();
  try {
    ssd.mapping = p2p::map_cmb(kSysfs, bdf);
  } catch (const std::exception& error) {
    ssd.failure = error.what();
    return false;
  }
  for (const auto& rnic : rnics_) prove(ssd, *rnic, probe_path);
  divide(ssd);
  return true;
}

// Its pools stay: poll groups know them.
bool PeerMemories::retire(const std::string& bdf) {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return false;
  ssd->second.failure = "the SSD at " + bdf + " was unplugged: its CMB serves again after a restart";
  return true;
}

const std::string& PeerMemories::failure(const std::string& bdf) const { return ssds_.at(bdf).failure; }

void PeerMemories::prove(Ssd& ssd, const rdma::Rnic& rnic, const std::string& probe_path) {
  p2p::SelfTestOptions options;
  options.max_transfer_bytes = max_transfer_bytes_;
  const auto probe = open_probe(probe_path, *ssd.mapping);
  OnRnic& result = ssd.on_rnic[&rnic];
  result.proof = p2p::self_test(rnic.context(), active_port(rnic), *ssd.mapping, options, probe.get());
  const bool good = proves_anything(result.proof.host_reads) || proves_anything(result.proof.host_writes);
  for (const std::string& finding : result.proof.findings)
    spdlog::log(good ? spdlog::level::info : spdlog::level::warn, "CMB of {} with {}: {}", ssd.mapping->bdf(),
                rnic.name(), finding);
  for (const std::string& remedy : result.proof.remedies)
    spdlog::log(good ? spdlog::level::info : spdlog::level::warn, "CMB of {} with {}: to get more: {}",
                ssd.mapping->bdf(), rnic.name(), remedy);
  if (good) result.region.emplace(rnic.domain(), *ssd.mapping);
}

// Equal parts, each of whole pages, for every poll group of every RNIC that may use it.
void PeerMemories::divide(Ssd& ssd) {
  size_t parts = 0;
  for (const auto& [rnic, result] : ssd.on_rnic)
    if (result.region) parts += rnic->io_groups().size();
  if (parts == 0) return;
  constexpr size_t kPage = core::limits::kPageBytes;
  const size_t part_bytes = std::min<size_t>(ssd.mapping->length_bytes() / parts / kPage * kPage, 1u << 31);
  size_t offset = 0;
  for (auto& [rnic, result] : ssd.on_rnic) {
    if (!result.region) continue;
    for (const auto& group : rnic->io_groups()) {
      core::Buffer part = result.region->buffer();
      part.address += offset;
      part.length_bytes = static_cast<uint32_t>(part_bytes);
      result.pools[group.get()] = std::make_unique<core::BufferPool>(part, max_transfer_bytes_);
      offset += part_bytes;
    }
  }
}

const p2p::SelfTestResult* PeerMemories::proof(const std::string& bdf, const rdma::Rnic& rnic) const {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return nullptr;
  const auto on_rnic = ssd->second.on_rnic.find(&rnic);
  return on_rnic == ssd->second.on_rnic.end() ? nullptr : &on_rnic->second.proof;
}

core::BufferPool* PeerMemories::pool(const std::string& bdf, const rdma::PollGroup& group) const {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return nullptr;
  for (const auto& [rnic, result] : ssd->second.on_rnic)
    if (const auto found = result.pools.find(&group); found != result.pools.end()) return found->second.get();
  return nullptr;
}

std::vector<PeerMemories::Prepared> PeerMemories::prepared() const {
  std::vector<Prepared> all;
  for (const auto& [bdf, ssd] : ssds_) {
    Prepared one{.bdf = bdf, .failure = ssd.failure, .cmb_bytes = ssd.mapping ? ssd.mapping->length_bytes() : 0};
    for (const auto& [rnic, result] : ssd.on_rnic) {
      Pair pair{.rnic = rnic, .proof = &result.proof};
      for (const auto& group : rnic->io_groups())
        if (const auto pool = result.pools.find(group.get()); pool != result.pools.end())
          pair.pools.push_back(pool->second.get());
      one.pairs.push_back(std::move(pair));
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace nvmf::daemon
