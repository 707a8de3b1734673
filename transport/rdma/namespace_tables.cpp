#include "transport/rdma/namespace_tables.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "target/core/datapath/limits.h"
#include "target/core/reactor/invariant.h"

namespace nvmf::rdma {

void NamespaceTables::open(const core::Subsystem& subsystem) {
  auto table = std::make_unique<core::IoNamespaceTable>();
  table->by_nsid.resize(core::limits::kMaxNamespaces);
  table->max_transfer_bytes = max_transfer_bytes_;
  tables_[&subsystem] = std::move(table);
}

std::unique_ptr<core::IoNamespaceTable> NamespaceTables::close(const core::Subsystem& subsystem) {
  return std::move(tables_.extract(&subsystem).mapped());
}

const core::IoNamespaceTable* NamespaceTables::find(const core::Subsystem& subsystem) const {
  const auto found = tables_.find(&subsystem);
  return found == tables_.end() ? nullptr : found->second.get();
}

void NamespaceTables::change(NamespaceChange& change) {
  change.tables = this;
  change.table = tables_.at(change.subsystem).get();
  thread_.send(change.message, change, [](NamespaceChange& begun) { begun.tables->begin(begun); });
}

void NamespaceTables::begin(NamespaceChange& change) {
  change.previous = std::exchange(change.table->by_nsid[change.nsid - 1], change.next);
  if (change.next != nullptr && change.next->cmb != nullptr) add(*change.next->cmb);
  if (change.next == nullptr && change.previous != nullptr && change.previous->throttle != nullptr)
    change.previous->throttle->lift();
  core::Throttle* const throttle = change.next != nullptr ? change.next->throttle : nullptr;
  if (throttle != nullptr && std::ranges::find(throttles_, throttle) == throttles_.end())
    throttles_.push_back(throttle);
  changing_.push(change);
}

void NamespaceTables::add(core::BufferPool& pool) {
  const auto place = std::ranges::find(pools_, &pool) - pools_.begin();
  if (place == std::ssize(pools_)) {
    pools_.push_back(&pool);
    uses_.push_back(0);
  }
  ++uses_[static_cast<size_t>(place)];
}

// With the last namespace of it: whoever owns it may destroy it then.
void NamespaceTables::forget(const core::BufferPool& pool) {
  const auto place = std::ranges::find(pools_, &pool) - pools_.begin();
  NVMF_INVARIANT(place != std::ssize(pools_));
  if (--uses_[static_cast<size_t>(place)] != 0) return;
  NVMF_INVARIANT(!pool.has_waiters());
  pools_.erase(pools_.begin() + place);
  uses_.erase(uses_.begin() + place);
}

void NamespaceTables::report_changed() {
  const auto is_over = [](const NamespaceChange& change) {
    return change.previous == nullptr || change.previous->commands == 0;
  };
  changing_.take_if(is_over, [this](NamespaceChange& change) {
    if (change.next == nullptr && change.previous != nullptr) std::erase(throttles_, change.previous->throttle);
    if (change.previous != nullptr && change.previous->cmb != nullptr) forget(*change.previous->cmb);
    control_.send(change.message, change, [](NamespaceChange& over) { over.done(over); });
  });
}

}  // namespace nvmf::rdma
