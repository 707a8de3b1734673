#include "target/core/subsystem/dispersed_namespace.h"

#include <algorithm>

#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {
namespace {

// A namespace without shareable storage is unique. NQNs have no line feeds.
std::string storage_of(const Subsystem& subsystem, const NamespaceOptions& ns) {
  return ns.storage.empty() ? subsystem.nqn() + '\n' + std::to_string(ns.nsid) : ns.storage;
}

}  // namespace

void DispersedNamespaces::add(Subsystem& subsystem, const NamespaceOptions& ns,
                              const ReservationState& saved_reservation, WriteProtection saved_protection) {
  DispersedNamespace& found = by_storage_[storage_of(subsystem, ns)];
  found.places.push_back({&subsystem, ns.nsid});
  by_place_[{&subsystem, ns.nsid}] = &found;
  if (found.reservation.state() == ReservationState{}) found.reservation = Reservation(saved_reservation);
  if (found.write_protection == WriteProtection::None) found.write_protection = saved_protection;
}

void DispersedNamespaces::remove(const Subsystem& subsystem, uint32_t nsid) {
  const auto place = by_place_.find({&subsystem, nsid});
  DispersedNamespace* const left = place->second;
  by_place_.erase(place);
  std::erase_if(left->places, [&](const auto& one) { return one.subsystem == &subsystem && one.nsid == nsid; });
  if (left->places.empty()) std::erase_if(by_storage_, [&](const auto& one) { return &one.second == left; });
}

}  // namespace nvmf::core
