#include "transport/rdma/namespace_tables.h"

#include <algorithm>
#include <utility>

#include "target/core/datapath/limits.h"

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
  core::Throttle* const throttle = change.next != nullptr ? change.next->throttle : nullptr;
  if (throttle != nullptr && std::ranges::find(throttles_, throttle) == throttles_.end())
    throttles_.push_back(throttle);
  changing_.push(change);
}

void NamespaceTables::add(core::BufferPool& pool) {
  if (std::ranges::find(pools_, &pool) == pools_.end()) pools_.push_back(&pool);
}

void NamespaceTables::report_changed() {
  const auto is_over = [](const NamespaceChange& change) {
    return change.previous == nullptr || change.previous->commands == 0;
  };
  changing_.take_if(is_over, [this](NamespaceChange& change) {
    if (change.next == nullptr && change.previous != nullptr) std::erase(throttles_, change.previous->throttle);
    control_.send(change.message, change, [](NamespaceChange& over) { over.done(over); });
  });
}

}  // namespace nvmf::rdma
