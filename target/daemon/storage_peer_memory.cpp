// Storage: which peer memory each namespace uses, chosen when it is staged, and again when there is more or less of it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "target/daemon/storage.h"

namespace nvmf::daemon {
namespace {

using core::EventKind;

// A command of a device that works; changes of the config wait so long.
constexpr std::chrono::seconds kSoon{2};

core::P2pMode mode_of(config::P2pMode mode) {
  switch (mode) {
    case config::P2pMode::off:
      return core::P2pMode::Off;
    case config::P2pMode::prefer:
      return core::P2pMode::Prefer;
    case config::P2pMode::require:
      return core::P2pMode::Require;
  }
  return core::P2pMode::Off;
}

}  // namespace

// Chooses the SSD whose CMB is used, and explains the choice; throws when a CMB is required and cannot be used.
boost::asio::awaitable<PeerMemoryChoice> Storage::choose_peer_memory(const config::Namespace& wanted,
                                                                     const backend::Device& device) {
  PeerMemoryChoice choice;
  choice.mode = mode_of(wanted.p2p);
  if (!device.info().memory.empty()) {
    choice.verdict = memory_verdict();
    co_return choice;
  }
  if (choice.mode == core::P2pMode::Off) {
    choice.verdict = "data goes through DRAM: \"p2p\" is \"off\"";
    co_return choice;
  }
  const std::string bdf = wanted.p2p_provider.value_or(device.info().pci_address.value_or(""));
  const std::string why_not = co_await obstacle(bdf, device, choice);
  if (why_not.empty()) {
    choice.provider = bdf;
    if (choice.verdict.empty()) choice.verdict = "data goes through the CMB of " + bdf;
    if (const uint32_t most = device.info().max_cmb_bytes; most != UINT32_MAX)
      choice.verdict += fmt::format(
          ", and through DRAM where a command has more than {} bytes: the SSD takes no more out of a CMB", most);
    co_return choice;
  }
  if (choice.mode == core::P2pMode::Require)
    throw std::runtime_error("\"p2p\" is \"require\", but no CMB can be used: " + why_not);
  choice.verdict = "data goes through DRAM: " + why_not;
  co_return choice;
}

boost::asio::awaitable<std::string> Storage::obstacle(const std::string& bdf, const backend::Device& device,
                                                      PeerMemoryChoice& choice) {
  if (transport_.rnics().empty()) co_return "no port has found its RNIC yet";
  if (bdf.empty())
    co_return "the device is not an SSD with a PCI address, so it has no CMB; name an SSD with \"p2p_provider\"";
  const bool prepared = co_await peer_memories_.prepare(bdf);
  if (!prepared) co_return peer_memories_.failure(bdf);
  if (!is_proved(bdf))
    co_return "no RNIC passed the self-test with the CMB of " + bdf + " (see the lines above, or nvmf-p2p p2p)";
  const std::string own = device.info().pci_address.value_or("");
  if (bdf == own) co_return std::string();
  co_return co_await obstacle_to_consumer(bdf, own, choice);
}

boost::asio::awaitable<std::string> Storage::obstacle_to_consumer(const std::string& bdf, const std::string& consumer,
                                                                  PeerMemoryChoice& choice) {
  if (consumer.empty())
    co_return "the device is not an SSD with a PCI address, so its access to the CMB of " + bdf + " cannot be tested";
  const p2p::ConsumerProof proof = co_await peer_memories_.prove_consumer(bdf, consumer);
  choice.host_reads = proof.host_reads;
  choice.host_writes = proof.host_writes;
  if (proof.host_reads && proof.host_writes) co_return std::string();
  const std::string reasons = fmt::format("{}", fmt::join(proof.reasons, "; "));
  const bool is_enough = choice.mode != core::P2pMode::Require && (proof.host_reads || proof.host_writes);
  if (!is_enough)
    co_return fmt::format("the SSD at {} did not pass the self-test with the CMB of {}: {}", consumer, bdf, reasons);
  choice.verdict =
      fmt::format("data of host {} goes through the CMB of {}, data of host {} through DRAM: {}",
                  proof.host_reads ? "reads" : "writes", bdf, proof.host_reads ? "writes" : "reads", reasons);
  co_return std::string();
}

bool Storage::is_proved(const std::string& bdf) const {
  return std::ranges::any_of(transport_.rnics(), [&](const auto& rnic) { return peer_memories_.serves(bdf, *rnic); });
}

Storage::Task Storage::choose_again(core::Subsystem& subsystem, uint32_t nsid) {
  const ServedNamespace& served = *find(subsystem.nqn(), nsid);
  std::optional<PeerMemoryChoice> choice;
  std::string why_not;
  try {
    choice = co_await choose_peer_memory(served.wanted, *served.device);
  } catch (const std::exception& error) {
    why_not = error.what();
  }
  if (choice) co_return co_await change_policies(subsystem, config::Namespace(served.wanted), std::move(*choice));
  events_.error(EventKind::Namespace,
                fmt::format("namespace {} of {} is not served any more: {}", nsid, subsystem.nqn(), why_not),
                subsystem.nqn());
  co_await remove(subsystem, nsid);
  if (on_lost_) on_lost_(subsystem.nqn(), nsid, why_not);
}

Storage::Task Storage::choose_again() {
  std::vector<std::pair<std::string, uint32_t>> without;
  for (const auto& served : served_)
    if (served->p2p.mode != core::P2pMode::Off && (served->p2p.provider.empty() || !is_proved(served->p2p.provider)))
      without.emplace_back(served->subsystem, served->wanted.nsid);
  for (const auto& [nqn, nsid] : without) co_await choose_again(*target_.find_subsystem(nqn), nsid);
}

Storage::Task Storage::follow_proof(const rdma::Rnic& rnic) {
  co_await renew_views(rnic);
  co_await choose_again();
}

Storage::Task Storage::prove_consumers(std::string bdf) {
  std::vector<std::pair<std::string, uint32_t>> consumers;
  for (const auto& served : served_) {
    const std::string& provider = served->p2p.provider;
    if (!provider.empty() && provider != served->device->info().pci_address && (bdf.empty() || provider == bdf))
      consumers.emplace_back(served->subsystem, served->wanted.nsid);
  }
  for (const auto& [nqn, nsid] : consumers) co_await choose_again(*target_.find_subsystem(nqn), nsid);
}

boost::asio::awaitable<bool> Storage::peer_memory_is_left_soon(const rdma::Rnic& rnic) {
  co_await renew_views(rnic);
  const FormerViews::IsMeant is_meant = [&rnic](const FormerViews::Former& one) {
    return one.view && one.view->cmb != nullptr && one.is_on(rnic);
  };
  co_return co_await former_.ended_within(is_meant, kSoon);
}

// Commands that are under way use the former pools, whose memory may become another pool's when this is over.
Storage::Task Storage::follow_pools(const rdma::Rnic& rnic) {
  co_await renew_views(rnic);
  const FormerViews::IsMeant is_meant = [&](const FormerViews::Former& one) {
    return one.view && one.view->cmb != nullptr && one.is_on(rnic) &&
           one.view->cmb != peer_memories_.pool(one.served->p2p.provider, *one.group);
  };
  co_await former_.ended(is_meant);
}

Storage::Task Storage::renew_views(const rdma::Rnic& rnic) {
  for (const auto& served : served_)
    if (!served->p2p.provider.empty())
      co_await replace_views(*target_.find_subsystem(served->subsystem), *served, make_views(*served, &rnic));
}

}  // namespace nvmf::daemon
