#include "target/daemon/peer_memory.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "p2p/nvme_inventory.h"
#include "target/core/datapath/limits.h"

namespace nvmf::daemon {
namespace {

const p2p::Sysfs kSysfs{};
constexpr char kTooSmall[] = "the CMB is too small to keep a part of it for later self-tests";

std::unique_ptr<p2p::SsdProbe> open_own_ssd(const p2p::CmbMapping& mapping, p2p::CmbRange range) {
  std::string why_not;
  auto probe = p2p::open_ssd(kSysfs, mapping.bdf(), mapping, range, why_not);
  if (!probe) spdlog::warn("CMB of {}: only the RNIC takes part in the self-test: {}", mapping.bdf(), why_not);
  return probe;
}

// The port that is up and has the largest path MTU: all ports of a device share its PCI path.
uint8_t port_to_test(const rdma::Rnic& rnic) {
  uint8_t best = 1;
  uint32_t largest_mtu = 0;
  for (uint8_t port = 1; port <= rnic.device().phys_port_cnt; ++port) {
    const ibv_port_attr attributes = verbs::query_port(rnic.context(), port);
    const uint32_t mtu = verbs::mtu_bytes(attributes.active_mtu);
    if (attributes.state != IBV_PORT_ACTIVE || mtu <= largest_mtu) continue;
    best = port;
    largest_mtu = mtu;
  }
  return best;
}

// Whether a self-test can be made; a device that does not answer has none.
bool has_active_port(const rdma::Rnic& rnic) {
  try {
    return verbs::query_port(rnic.context(), port_to_test(rnic)).state == IBV_PORT_ACTIVE;
  } catch (const verbs::VerbsError&) {
    return false;
  }
}

void add_finding(p2p::SelfTestResult& proof, std::string finding) {
  if (std::ranges::find(proof.findings, finding) == proof.findings.end()) proof.findings.push_back(std::move(finding));
}

bool proves_anything(const core::ProvenTransfers& proven) {
  return proven.page_start_from_mtu != core::ProvenTransfers::kNever;
}

bool proves_anything(const p2p::SelfTestResult& proof) {
  return proves_anything(proof.host_reads) || proves_anything(proof.host_writes);
}

// The smallest path MTU at which single pages make the round trip; larger than any when they do not.
uint32_t mtu_of_page_copies(const p2p::SelfTestResult& proof) {
  return std::max(proof.host_reads.page_start_from_mtu, proof.host_writes.page_start_from_mtu);
}

void report(const std::string& bdf, const std::string& rnic, const p2p::SelfTestResult& proof) {
  const auto level = proves_anything(proof) ? spdlog::level::info : spdlog::level::warn;
  for (const std::string& finding : proof.findings) spdlog::log(level, "CMB of {} with {}: {}", bdf, rnic, finding);
  for (const std::string& remedy : proof.remedies)
    spdlog::log(level, "CMB of {} with {}: remedy: {}", bdf, rnic, remedy);
}

p2p::ProofSubject subject_of(const rdma::Rnic& rnic, const p2p::CmbMapping& mapping,
                             const p2p::SelfTestOptions& options) {
  const uint8_t port = port_to_test(rnic);
  return {.bdf = mapping.bdf(),
          .rnic = rnic.name(),
          .port = port,
          .active_mtu = verbs::mtu_bytes(verbs::query_port(rnic.context(), port).active_mtu),
          .mapping_bytes = mapping.length_bytes(),
          .range = options.range,
          .max_transfer_bytes = options.max_transfer_bytes,
          .probe_paths = fmt::format("{}", fmt::join(p2p::devices_of_ssd(kSysfs, mapping.bdf()), " "))};
}

constexpr size_t whole_pages(size_t bytes) { return bytes / core::limits::kPageBytes * core::limits::kPageBytes; }

// Of each of so many poll groups.
size_t part_of(p2p::CmbRange range, size_t groups) {
  return std::min<size_t>(whole_pages(range.length_bytes / groups), 1u << 31);
}

// The end of the CMB: enough for the longest transfers where that is a small part of it.
p2p::CmbRange proving_ground_of(size_t cmb_bytes) {
  constexpr size_t kMostBytes = 2 << 20;
  constexpr size_t kPartOfCmb = 16;
  const size_t length = whole_pages(std::min(cmb_bytes / kPartOfCmb, kMostBytes));
  if (p2p::testable_transfer_bytes(length, core::limits::kPageBytes) == 0) return {};
  return {.offset_bytes = cmb_bytes - length, .length_bytes = length};
}

}  // namespace

PeerMemories::PeerMemories(const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, uint32_t max_transfer_bytes,
                           std::optional<ProofFiles> proofs)
    : rnics_(rnics), max_transfer_bytes_(max_transfer_bytes), proofs_(std::move(proofs)) {}

boost::asio::awaitable<bool> PeerMemories::prepare(std::string bdf) {
  const auto known = ssds_.find(bdf);
  if (known != ssds_.end() && known->second.mapping) co_return known->second.failure.empty();
  if (known != ssds_.end()) ssds_.erase(known);
  std::vector<const rdma::Rnic*> rnics;
  for (const auto& rnic : rnics_) rnics.push_back(rnic.get());
  Ssd& ssd = unproved_[bdf];
  spdlog::debug("the self-test of the CMB of {} begins", bdf);
  try {
    co_await worker_.run([&] { ssd.mapping = p2p::map_cmb(kSysfs, bdf); });
  } catch (const std::exception& error) {
    ssd.failure = error.what();
  }
  if (ssd.failure.empty())
    for (const rdma::Rnic* rnic : rnics) co_await prove(ssd, *rnic, {});
  if (ssd.failure.empty()) divide(ssd);
  ssds_.insert(unproved_.extract(bdf));
  co_return ssd.failure.empty();
}

// Its pools stay until no poll group refers to them: forget().
bool PeerMemories::retire(const std::string& bdf) {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return false;
  ssd->second.failure = "the SSD at " + bdf + " was unplugged: its CMB is used again when the SSD is back";
  return true;
}

const std::string& PeerMemories::failure(const std::string& bdf) const { return ssds_.at(bdf).failure; }

boost::asio::awaitable<void> PeerMemories::prove(Ssd& ssd, const rdma::Rnic& rnic, p2p::CmbRange range,
                                                 Earlier earlier) {
  OnRnic& result = on_rnic(ssd, rnic);
  result.tried_for_mtu = rnic.largest_path_mtu();
  p2p::SelfTestResult proof;
  try {
    co_await worker_.run([&] {
      proof = examine(rnic, ssd, range, earlier);
      if (proves_anything(proof) && !result.region) result.region.emplace(rnic.domain(), *ssd.mapping);
    });
  } catch (const std::exception& error) {
    proof = {};
    proof.findings = {std::string("the self-test failed: ") + error.what()};
  }
  report(ssd.mapping->bdf(), rnic.name(), proof);
  result.proof = std::move(proof);
}

p2p::SelfTestResult PeerMemories::examine(const rdma::Rnic& rnic, const Ssd& ssd, p2p::CmbRange range,
                                          Earlier earlier) const {
  p2p::SelfTestOptions options;
  options.max_transfer_bytes = max_transfer_bytes_;
  options.range = range;
  const p2p::ProofSubject pair = subject_of(rnic, *ssd.mapping, options);
  const p2p::ProofConditions conditions = p2p::read_conditions(kSysfs, pair);
  if (earlier == Earlier::TakenOver)
    if (auto proof = take_over(pair, conditions, rnic, ssd, options)) return std::move(*proof);
  const auto probe = open_own_ssd(*ssd.mapping, range);
  p2p::SelfTestResult proof = p2p::self_test(rnic.context(), pair.port, *ssd.mapping, options, probe.get());
  keep(pair, conditions, proof);
  return proof;
}

std::optional<p2p::SelfTestResult> PeerMemories::take_over(const p2p::ProofSubject& pair,
                                                           const p2p::ProofConditions& conditions,
                                                           const rdma::Rnic& rnic, const Ssd& ssd,
                                                           const p2p::SelfTestOptions& options) const {
  if (!proofs_) return std::nullopt;
  ProofFiles::Kept kept = proofs_->find(pair, conditions);
  if (kept.proof) kept.why_not = p2p::confirm(rnic.context(), pair.port, *ssd.mapping, options, *kept.proof);
  if (!kept.why_not.empty())
    spdlog::info("CMB of {} with {}: the proof of an earlier start is not taken over: {}", pair.bdf, pair.rnic,
                 kept.why_not);
  if (!kept.proof || !kept.why_not.empty()) return std::nullopt;
  kept.proof->findings.push_back("proved at " + kept.made_at +
                                 " UTC, and taken over: everything that the proof depends on is as it was then, and "
                                 "pages made the round trip again");
  return std::move(kept.proof);
}

// What was proved holds for this daemon, also where it cannot be kept.
void PeerMemories::keep(const p2p::ProofSubject& pair, const p2p::ProofConditions& conditions,
                        const p2p::SelfTestResult& proof) const {
  if (!proofs_) return;
  try {
    if (proves_anything(proof))
      proofs_->keep(pair, conditions, proof);
    else
      proofs_->forget(pair);
  } catch (const std::exception& error) {
    spdlog::warn("CMB of {} with {}: the proof cannot be kept, so the next start repeats the self-test: {}", pair.bdf,
                 pair.rnic, error.what());
  }
}

PeerMemories::OnRnic& PeerMemories::on_rnic(Ssd& ssd, const rdma::Rnic& rnic) {
  const auto found = std::ranges::find(ssd.on_rnic, &rnic, &OnRnic::rnic);
  return found != ssd.on_rnic.end() ? *found : ssd.on_rnic.emplace_back(OnRnic{.rnic = &rnic});
}

void PeerMemories::divide(Ssd& ssd) {
  for (const OnRnic& result : ssd.on_rnic)
    if (result.region) ssd.shares.push_back(result.rnic);
  const size_t given = ssd.shares.size();
  if (given == 0) return;
  ssd.shares.resize(given + expected_rnics_);
  ssd.proving_ground = proving_ground_of(ssd.mapping->length_bytes());
  for (size_t index = 0; index < given; ++index) give_share(ssd, index, *ssd.shares[index]);
}

// A whole number of pages.
p2p::CmbRange PeerMemories::share_of(const Ssd& ssd, size_t index, size_t shares) {
  const size_t divided_bytes = ssd.mapping->length_bytes() - ssd.proving_ground.length_bytes;
  const size_t length = whole_pages(divided_bytes / shares);
  return {.offset_bytes = index * length, .length_bytes = length};
}

void PeerMemories::give_share(Ssd& ssd, size_t index, const rdma::Rnic& rnic) {
  ssd.shares[index] = &rnic;
  OnRnic& owner = on_rnic(ssd, rnic);
  owner.pools = pools_in(owner, share(ssd, index));
}

PeerMemories::Pools PeerMemories::pools_in(const OnRnic& owner, p2p::CmbRange range) const {
  const size_t groups = owner.rnic->io_groups().size();
  const size_t part_bytes = part_of(range, groups);
  core::Buffer part = owner.region->buffer();
  part.address += range.offset_bytes;
  part.length_bytes = static_cast<uint32_t>(part_bytes);
  Pools pools;
  while (pools.size() < groups) {
    pools.push_back(std::make_unique<core::BufferPool>(part, max_transfer_bytes_));
    part.address += part_bytes;
  }
  return pools;
}

boost::asio::awaitable<void> PeerMemories::add(std::vector<rdma::Rnic*> rnics) {
  for (auto& [bdf, ssd] : ssds_) {
    if (!ssd.failure.empty()) continue;
    const bool is_divided = !ssd.shares.empty();
    for (const rdma::Rnic* rnic : rnics) {
      if (is_divided)
        co_await add(ssd, *rnic);
      else
        co_await prove(ssd, *rnic, {});
    }
    if (!is_divided) divide(ssd);
  }
}

boost::asio::awaitable<void> PeerMemories::add(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier) {
  const auto free = std::ranges::find(ssd.shares, nullptr);
  const auto index = static_cast<size_t>(free - ssd.shares.begin());
  if (free == ssd.shares.end()) co_await add_share_for(ssd, rnic, earlier);
  if (index == ssd.shares.size()) co_return;
  co_await prove(ssd, rnic, share(ssd, index), earlier);
  if (proves_anything(on_rnic(ssd, rnic).proof)) give_share(ssd, index, rnic);
}

std::string PeerMemories::obstacle_to_share(const Ssd& ssd, const rdma::Rnic& rnic) {
  const size_t groups = rnic.io_groups().size();  // as many as any RNIC has
  const p2p::CmbRange smaller = share_of(ssd, 0, ssd.shares.size() + 1);
  const bool has_room = part_of(ssd.proving_ground, groups) != 0 && part_of(smaller, groups) != 0 &&
                        p2p::testable_transfer_bytes(smaller.length_bytes, core::limits::kPageBytes) != 0;
  if (has_room) return {};
  return rnic.name() +
         " can use the CMB only after a restart of the daemon: the RNICs that were present before have divided the CMB "
         "among them, and it is too small to be divided anew while they use it";
}

// The others give nothing up for an RNIC that cannot use the CMB.
boost::asio::awaitable<void> PeerMemories::add_share_for(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier) {
  const std::string obstacle = obstacle_to_share(ssd, rnic);
  p2p::SelfTestResult& proof = on_rnic(ssd, rnic).proof;
  if (!obstacle.empty()) {
    proof.findings = {obstacle};
    co_return report(ssd.mapping->bdf(), rnic.name(), proof);
  }
  co_await prove(ssd, rnic, ssd.proving_ground, earlier);
  if (!proves_anything(proof)) co_return;
  if (!co_await are_shares_left_soon(ssd)) {
    add_finding(proof, rnic.name() +
                           " has no share of the CMB yet: commands that use the CMB do not end at their devices; when "
                           "these answer (see the kernel log, dmesg): nvmf-p2p p2p --prove");
    co_return report(ssd.mapping->bdf(), rnic.name(), proof);
  }
  co_await divide_anew(ssd);
  spdlog::info("CMB of {}: divided anew into {} shares of {} KiB, so that {} has one", ssd.mapping->bdf(),
               ssd.shares.size(), share(ssd, 0).length_bytes >> 10, rnic.name());
}

// Every change of the config would wait for a device that hangs.
boost::asio::awaitable<bool> PeerMemories::are_shares_left_soon(const Ssd& ssd) {
  for (const rdma::Rnic* const owner : ssd.shares)
    if (owner != nullptr && !co_await is_left_soon(*owner)) co_return false;
  co_return true;
}

// One after the other, from the start of the CMB: a new share lies where its owner's former one and those before it
// were. Its owner's commands leave the former one for the proving ground before they may use the new one, so that no
// memory is in two pools.
boost::asio::awaitable<void> PeerMemories::divide_anew(Ssd& ssd) {
  ssd.shares.push_back(nullptr);
  for (size_t index = 0; index < ssd.shares.size(); ++index) {
    const rdma::Rnic* const owner = ssd.shares[index];
    if (owner == nullptr) continue;
    co_await move_pools(ssd, *owner, ssd.proving_ground);
    co_await move_pools(ssd, *owner, share(ssd, index));
  }
}

boost::asio::awaitable<void> PeerMemories::move_pools(Ssd& ssd, const rdma::Rnic& rnic, p2p::CmbRange range) {
  OnRnic& owner = on_rnic(ssd, rnic);
  const Pools former = std::exchange(owner.pools, pools_in(owner, range));
  co_await on_pools_changed(rnic);
}

bool PeerMemories::has_untried_mtu(const Ssd& ssd, const rdma::Rnic& rnic) {
  if (!ssd.failure.empty()) return false;
  const auto known = std::ranges::find(ssd.on_rnic, &rnic, &OnRnic::rnic);
  return known != ssd.on_rnic.end() &&
         rnic.largest_path_mtu() > std::max(known->proof.active_mtu, known->tried_for_mtu);
}

bool PeerMemories::has_untried_mtu(const rdma::Rnic& rnic) const {
  return std::ranges::any_of(ssds_, [&](const auto& one) { return has_untried_mtu(one.second, rnic); });
}

boost::asio::awaitable<void> PeerMemories::try_again(const rdma::Rnic& rnic) {
  for (auto& [bdf, ssd] : ssds_) {
    if (!has_untried_mtu(ssd, rnic)) continue;
    const std::string mtu = std::to_string(rnic.largest_path_mtu());
    spdlog::info(
        "CMB of {} with {}: a host has connected at path MTU {}, which was not tried: the self-test is repeated", bdf,
        rnic.name(), mtu);
    co_await try_again(ssd, rnic, Earlier::TakenOver,
                       "path MTU " + mtu + " is tried after a restart of the daemon only: " + kTooSmall);
  }
}

boost::asio::awaitable<bool> PeerMemories::prove_again(const rdma::Rnic& rnic, std::string bdf) {
  bool can_test = false;
  co_await worker_.run([&] { can_test = has_active_port(rnic); });
  for (auto& [address, ssd] : ssds_) {
    if (!ssd.failure.empty() || (!bdf.empty() && address != bdf)) continue;
    if (!can_test) {
      add_finding(on_rnic(ssd, rnic).proof, "the self-test was not repeated, because no port of the RNIC is up");
      continue;
    }
    spdlog::info("CMB of {} with {}: the operator asks for the self-test: it is repeated", address, rnic.name());
    co_await try_again(ssd, rnic, Earlier::Ignored,
                       std::string("the self-test can be repeated only by a restart of the daemon: ") + kTooSmall);
  }
  co_return can_test;
}

boost::asio::awaitable<p2p::ConsumerProof> PeerMemories::prove_consumer(std::string bdf, std::string consumer) {
  const Ssd& ssd = ssds_.at(bdf);
  const auto is_two_way = [](const OnRnic& one) { return mtu_of_page_copies(one.proof) <= one.proof.active_mtu; };
  const auto witness = std::ranges::find_if(ssd.on_rnic, is_two_way);
  p2p::ConsumerProof proof;
  if (witness == ssd.on_rnic.end()) {
    proof.reasons = {"it can be tested only with an RNIC for which the CMB is proved in both directions"};
    co_return proof;
  }
  const rdma::Rnic& rnic = *witness->rnic;
  const uint32_t path_mtu = mtu_of_page_copies(witness->proof);
  try {
    co_await worker_.run([&] {
      proof = p2p::prove_consumer(kSysfs, consumer, rnic.context(), port_to_test(rnic), *ssd.mapping,
                                  ssd.proving_ground, path_mtu);
    });
  } catch (const std::exception& error) {
    proof.reasons = {error.what()};
  }
  spdlog::info("CMB of {} with the SSD at {}: host reads: {}; host writes: {}", bdf, consumer,
               proof.host_reads ? "proved" : "not proved", proof.host_writes ? "proved" : "not proved");
  for (const std::string& reason : proof.reasons)
    spdlog::warn("CMB of {} with the SSD at {}: {}", bdf, consumer, reason);
  co_return proof;
}

boost::asio::awaitable<void> PeerMemories::try_again(Ssd& ssd, const rdma::Rnic& rnic, Earlier earlier,
                                                     std::string unless_possible) {
  OnRnic& known = on_rnic(ssd, rnic);
  known.tried_for_mtu = rnic.largest_path_mtu();
  if (ssd.shares.empty()) {
    co_await prove(ssd, rnic, {}, earlier);
    divide(ssd);
  } else if (known.pools.empty()) {
    co_await add(ssd, rnic, earlier);
  } else if (ssd.proving_ground.length_bytes != 0) {
    co_await prove(ssd, rnic, ssd.proving_ground, earlier);
  } else {
    add_finding(known.proof, std::move(unless_possible));
    report(ssd.mapping->bdf(), rnic.name(), known.proof);
  }
}

void PeerMemories::remove(const rdma::Rnic& rnic) {
  for (auto& [bdf, ssd] : ssds_) {
    std::ranges::replace(ssd.shares, &rnic, nullptr);
    std::erase_if(ssd.on_rnic, [&](const OnRnic& one) { return one.rnic == &rnic; });
  }
}

bool PeerMemories::serves(const std::string& bdf, const rdma::Rnic& rnic) const {
  const p2p::SelfTestResult* const known = proof(bdf, rnic);
  return known != nullptr && proves_anything(*known) && pool(bdf, *rnic.io_groups().front()) != nullptr;
}

const p2p::SelfTestResult* PeerMemories::proof(const std::string& bdf, const rdma::Rnic& rnic) const {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return nullptr;
  const auto found = std::ranges::find(ssd->second.on_rnic, &rnic, &OnRnic::rnic);
  return found == ssd->second.on_rnic.end() ? nullptr : &found->proof;
}

core::BufferPool* PeerMemories::pool(const std::string& bdf, const rdma::PollGroup& group) const {
  const auto ssd = ssds_.find(bdf);
  if (ssd == ssds_.end()) return nullptr;
  for (const OnRnic& one : ssd->second.on_rnic)
    for (size_t i = 0; i < one.pools.size(); ++i)
      if (one.rnic->io_groups()[i].get() == &group) return one.pools[i].get();
  return nullptr;
}

std::vector<PeerMemories::Prepared> PeerMemories::prepared() const {
  std::vector<Prepared> all;
  for (const auto& [bdf, ssd] : ssds_) {
    Prepared one{.bdf = bdf, .failure = ssd.failure, .cmb_bytes = ssd.mapping ? ssd.mapping->length_bytes() : 0};
    for (const OnRnic& result : ssd.on_rnic) {
      Pair pair{.rnic = result.rnic, .proof = &result.proof};
      for (const auto& pool : result.pools) pair.pools.push_back(pool.get());
      one.pairs.push_back(std::move(pair));
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace nvmf::daemon
