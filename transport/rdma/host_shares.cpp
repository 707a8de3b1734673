#include "transport/rdma/host_shares.h"

#include <algorithm>

#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {

uint16_t HostShares::take(const std::string& address) {
  const auto [found, is_new] = hosts_.try_emplace(address);
  Host& host = found->second;
  if (is_new) {
    host.share = least_used();
    ++addresses_[host.share];
  }
  ++host.connections;
  return host.share;
}

void HostShares::give_back(const std::string& address) {
  const auto found = hosts_.find(address);
  NVMF_INVARIANT(found != hosts_.end() && found->second.connections != 0);
  if (--found->second.connections != 0) return;
  --addresses_[found->second.share];
  hosts_.erase(found);
}

uint16_t HostShares::least_used() const {
  return static_cast<uint16_t>(std::ranges::min_element(addresses_) - addresses_.begin());
}

}  // namespace nvmf::rdma
