// The daemon's counters as JSON. Control thread; reads counters that the reactors write.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json_fwd.hpp>

#include "target/core/subsystem/target.h"
#include "target/daemon/metrics.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

// {"connections": n, "refused_by_rate": n, "subsystems": [{"nqn", "controllers": n, "ana": [{"group", "port",
// "state"}]}],
//  "namespaces": [{"subsystem", "nsid", "device", "p2p": {"mode", "provider", "verdict"},
//    "reads"|"writes": {"cmb"|"dram"|"in_capsule": {"commands", "bytes"}},
//    "fallbacks": {reason: {"commands", "bytes"}}, "other_commands", "errors", "waits", and of counter_report.h
//    "commands", "latency"}],
//  and of counter_report.h "hosts", "reactors", "refusals"}
// The namespaces are read in slices (slices.h), so that other work of the thread has its turn; everything else at once.
boost::asio::awaitable<nlohmann::json> stats(core::Target& target, const rdma::Transport& transport,
                                             const Storage& storage, Figures figures);

// {reason: {"commands", "bytes"}}: the fallbacks to DRAM of a namespace with peer-to-peer on, by reason.
nlohmann::json fallbacks(const ServedNamespace& served);

}  // namespace nvmf::daemon
