#include "target/core/subsystem/host_id_owners.h"

#include <algorithm>

namespace nvmf::core {

void HostIdOwners::authenticated(const HostIdentity& host) {
  auto& ids = ids_[host.nqn];
  std::erase(ids, host.id);
  if (ids.size() == kMostOfHost) ids.erase(ids.begin());
  ids.push_back(host.id);
}

void HostIdOwners::forget_unknown(const IsKnown& known) {
  std::erase_if(ids_, [&](const auto& entry) { return !known(entry.first); });
}

std::optional<std::string> HostIdOwners::other_owner(const HostIdentity& host, const IsKnown& known) const {
  for (const auto& [nqn, ids] : ids_) {
    if (nqn != host.nqn && std::ranges::find(ids, host.id) != ids.end() && known(nqn)) return nqn;
  }
  return std::nullopt;
}

}  // namespace nvmf::core
