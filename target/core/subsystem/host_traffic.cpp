#include "target/core/subsystem/host_traffic.h"

#include <algorithm>

#include "target/core/datapath/limits.h"

namespace nvmf::core {

void HostTraffic::begin(const std::string& hostnqn, const TrafficCounters& counted) {
  hosts_[hostnqn].queues.push_back(&counted);
}

void HostTraffic::end(const TrafficCounters& counted) {
  for (auto& [hostnqn, host] : hosts_) {
    if (std::erase(host.queues, &counted) == 0) continue;
    add(*host.past, counted);
    if (!host.queues.empty()) return;
    host.left = ++departures_;
    return forget_who_left_first();
  }
}

void HostTraffic::visit(
    const std::function<void(const std::string& hostnqn, const TrafficCounters& total)>& visitor) const {
  for (const auto& [hostnqn, host] : hosts_) {
    const auto total = std::make_unique<TrafficCounters>();
    add(*total, *host.past);
    for (const TrafficCounters* queue : host.queues) add(*total, *queue);
    visitor(hostnqn, *total);
  }
}

// Hosts choose their NQNs: when any host may connect, only a bound limits the memory.
void HostTraffic::forget_who_left_first() {
  const auto is_absent = [](const auto& host) { return host.second.queues.empty(); };
  if (static_cast<size_t>(std::ranges::count_if(hosts_, is_absent)) <= limits::kMaxAbsentHosts) return;
  hosts_.erase(std::ranges::min_element(
      hosts_, {}, [&](const auto& host) { return is_absent(host) ? host.second.left : UINT64_MAX; }));
}

}  // namespace nvmf::core
