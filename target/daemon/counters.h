// What has been counted of a namespace by all its poll groups, and by those views of it that have been replaced.
#pragma once

#include "target/daemon/storage.h"

namespace nvmf::daemon {

// `select`: from core::IoCounters to one core::Counter of it.
template <class Select>
uint64_t sum(const ServedNamespace& served, Select select) {
  uint64_t total = select(served.past).get();
  for (const auto& view : served.on_group) total += select(view->counters).get();
  return total;
}

struct DataCounts {
  uint64_t commands = 0;
  uint64_t bytes = 0;
};

// Of one direction (&core::IoCounters::reads or writes), over all paths.
template <class Direction>
DataCounts count_data(const ServedNamespace& served, Direction direction) {
  DataCounts counts;
  for (size_t path = 0; path < core::kDataPaths; ++path) {
    const auto of_path = [&](const core::IoCounters& c) -> const core::PathCounters& { return (c.*direction)[path]; };
    counts.commands += sum(served, [&](const auto& c) -> const core::Counter& { return of_path(c).commands; });
    counts.bytes += sum(served, [&](const auto& c) -> const core::Counter& { return of_path(c).bytes; });
  }
  return counts;
}

}  // namespace nvmf::daemon
