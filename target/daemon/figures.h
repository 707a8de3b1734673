// Collects the daemon's counters from where they are kept. Control thread; reads counters that the reactors write.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "target/core/reactor/reactor.h"
#include "target/daemon/metrics.h"
#include "target/daemon/peer_memory.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// References in the result to `target` and to poll groups must not outlive them. The reactors run.
Figures figures_of(const core::Target& target, const rdma::Transport& transport, const Storage& storage,
                   const PeerMemories& peer_memories, const std::vector<const core::Reactor*>& reactors);

// A namespace that was served a moment ago; null: it is not any more.
using ServedSource = std::function<const ServedNamespace*()>;
// One for each namespace that is served now, for work in slices (slices.h). `storage` must outlive them.
std::vector<ServedSource> served_namespaces_of(const Storage& storage);

// The same for the metrics.
std::vector<NamespaceSource> namespace_figures_of(const Storage& storage);

// Sums over all poll groups, past ones included.
std::unique_ptr<core::IoCounters> counters_of(const ServedNamespace& served);

}  // namespace nvmf::daemon
