#include "target/core/subsystem/dispersed_namespace.h"

#include <algorithm>

#include "target/core/subsystem/subsystem.h"

namespace nvmf::core {

// A namespace without shareable storage is unique. NQNs have no line feeds.
std::string DispersedNamespaces::storage_of(const Subsystem& subsystem, const NamespaceOptions& ns) {
  return ns.storage.empty() ? subsystem.nqn() + '\n' + std::to_string(ns.nsid) : ns.storage;
}

DispersedNamespace* DispersedNamespaces::find(const std::string& storage) {
  const auto found = by_storage_.find(storage);
  return found != by_storage_.end() ? &found->second : nullptr;
}

void DispersedNamespaces::change_in_turn(const Subsystem& subsystem, uint32_t nsid, Change change, End done) {
  const Status removed = Status(NVME_SC_INVALID_NS).do_not_retry();
  const NamespaceOptions* const present = subsystem.find_namespace(nsid);
  if (present == nullptr) return done(removed);
  const std::string storage = storage_of(subsystem, *present);
  auto make = [this, &subsystem, nsid, storage, removed, change = std::move(change), done = std::move(done)] {
    const auto end = [this, storage, done](Status status) {
      done(status);
      changes_.at(storage).under_way = false;
      next_change(storage);
    };
    const NamespaceOptions* const ns = subsystem.find_namespace(nsid);
    if (ns == nullptr || storage_of(subsystem, *ns) != storage) return end(removed);
    change(*ns, end);
  };
  changes_[storage].waiting.emplace_back(std::move(make));
  next_change(storage);
}

// A loop, for many changes that end at once may have waited for one that did not.
void DispersedNamespaces::next_change(const std::string& storage) {
  Changes& changes = changes_.at(storage);
  if (changes.is_looping) return;
  changes.is_looping = true;
  while (!changes.under_way && !changes.waiting.empty()) {
    const auto make = std::move(changes.waiting.front());
    changes.waiting.pop_front();
    changes.under_way = true;
    make();
  }
  changes.is_looping = false;
  if (!changes.under_way) changes_.erase(storage);
}

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
