// The counters of `stats` in JSON. Control thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "target/core/datapath/io_counters.h"
#include "target/daemon/metrics.h"

namespace nvmf::daemon {

// {kind: {"answered": n, "failed": {failure: n}}}, without those that are 0.
nlohmann::json commands_report(const core::CommandCounters& counters);
// {"target"|"device": {"read"|"write"|"other": {...}}, "rdma": {"to_host"|"from_host": {...}}}, where each is {"count",
// "mean_us", "p50_us", "p90_us", "p99_us", "p999_us", "buckets": [[longest_ns, n], ...]}: only buckets that are not
// empty; the difference between two reports gives the percentiles of the time between them. When "count" is 0, the
// other keys are missing.
nlohmann::json latency_report(const core::LatencyCounters& counters);
// [{"nqn", "reads"|"writes": {"cmb"|"dram"|"in_capsule": {"commands", "bytes", "latency": as above}}}]
nlohmann::json hosts_report(const std::vector<HostFigures>& hosts);
// [{"index", "cpu_us", "polled_in_vain_us", "turns", "sleeps"}]
nlohmann::json reactors_report(const std::vector<ReactorFigures>& reactors);
// {"connects": {reason: n}, "rdma_cm": {status: n}, "failed_connections": n, "stalled_connections": {cause: n},
//  "keep_alive_expiries": n}
nlohmann::json refusals_report(const Figures& figures);
// Of queues: {"succeeded": n, "failed": {reason: n}, "refused_addresses": n now}
nlohmann::json authentications_report(const core::Target& target);

}  // namespace nvmf::daemon
