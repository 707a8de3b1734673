// Storage: the memory of namespaces in memory, registered with the RNICs that answer hosts' reads out of it.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "target/daemon/storage.h"

namespace nvmf::daemon {

using core::EventKind;

std::string memory_verdict() {
  return "data of host reads goes straight out of the namespace's memory, data of host writes through DRAM into it";
}

// For reading only: no RNIC can change a block. Pinning the pages takes long where there are many.
Storage::Task Storage::register_memory(ServedNamespace& served, const rdma::Rnic& rnic) {
  const std::span<std::byte> memory = served.device->info().memory;
  if (memory.empty()) co_return;
  verbs::MemoryRegion region;
  std::string failure;
  try {
    co_await memory_worker_.run(
        [&] { region = verbs::register_memory(rnic.domain(), memory.data(), memory.size(), 0); });
    served.regions.push_back({&rnic, std::move(region)});
    co_return;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  served.p2p.verdict += fmt::format("; with {}, which cannot read the memory, all data is copied", rnic.name());
  events_.warn(EventKind::Namespace,
               fmt::format("namespace {} of {}: {} cannot read its memory, so data is copied there: {}",
                           served.wanted.nsid, served.subsystem, rnic.name(), failure),
               served.subsystem);
}

Storage::Task Storage::register_memory(ServedNamespace& served) {
  std::vector<const rdma::Rnic*> rnics;
  for (const OnGroup& place : served.on_groups)
    if (std::ranges::find(rnics, place.rnic) == rnics.end()) rnics.push_back(place.rnic);
  for (const rdma::Rnic* rnic : rnics) co_await register_memory(served, *rnic);
}

// No view refers to them any more. After those that are released already, too: the RNIC may go then.
Storage::Task Storage::release_memory(std::vector<NamespaceRegion> regions) {
  co_await memory_worker_.run([&] { regions.clear(); });
}

Storage::Task Storage::release_memory(const rdma::Rnic& rnic) {
  std::vector<NamespaceRegion> released;
  const auto release = [&](ServedNamespace& served) {
    auto& regions = served.regions;
    const auto first =
        std::partition(regions.begin(), regions.end(), [&](const auto& one) { return one.rnic != &rnic; });
    std::move(first, regions.end(), std::back_inserter(released));
    regions.erase(first, regions.end());
  };
  for (const auto& served : served_) release(*served);
  for (const Leaving& one : leaving_) release(*one.served);
  co_await release_memory(std::move(released));
}

core::NamespaceMemory Storage::memory_on(const ServedNamespace& served, const rdma::Rnic& rnic) {
  const auto found = std::ranges::find(served.regions, &rnic, &NamespaceRegion::rnic);
  if (found == served.regions.end()) return {};
  return {.address = served.device->info().memory.data(), .lkey = found->region->lkey};
}

}  // namespace nvmf::daemon
