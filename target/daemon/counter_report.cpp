#include "target/daemon/counter_report.h"

#include <nlohmann/json.hpp>

namespace nvmf::daemon {
namespace {

using core::LatencyHistogram;
using nlohmann::json;

double microseconds(uint64_t ns) { return static_cast<double>(ns) / 1000; }

json report(const LatencyHistogram& latency) {
  const uint64_t count = latency.count();
  if (count == 0) return {{"count", 0}};
  json buckets = json::array();
  for (size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket)
    if (const uint64_t here = latency.in_bucket(bucket); here != 0)
      buckets.push_back({LatencyHistogram::bound_ns(bucket), here});
  return {{"count", count},
          {"mean_us", microseconds(latency.sum_ns() / count)},
          {"p50_us", microseconds(latency.quantile_ns(0.5))},
          {"p90_us", microseconds(latency.quantile_ns(0.9))},
          {"p99_us", microseconds(latency.quantile_ns(0.99))},
          {"p999_us", microseconds(latency.quantile_ns(0.999))},
          {"buckets", std::move(buckets)}};
}

template <class Name, class Histograms>
json by_name(const Histograms& histograms) {
  json all = json::object();
  for (size_t i = 0; i < histograms.size(); ++i) all[core::name_of(static_cast<Name>(i))] = report(histograms[i]);
  return all;
}

json by_path(const std::array<core::TransferCounters, core::kDataPaths>& transfers) {
  json paths = json::object();
  for (size_t path = 0; path < core::kDataPaths; ++path)
    paths[core::name_of(static_cast<core::DataPath>(path))] = {{"commands", transfers[path].latency.count()},
                                                               {"bytes", transfers[path].bytes.get()},
                                                               {"latency", report(transfers[path].latency)}};
  return paths;
}

json failures_of(const core::CommandCounters& counters, size_t kind) {
  json failed = json::object();
  for (size_t failure = 0; failure < core::kFailures; ++failure)
    if (const uint64_t these = counters.failed[kind][failure].get(); these != 0)
      failed[core::name_of(static_cast<core::Failure>(failure))] = these;
  return failed;
}

}  // namespace

json commands_report(const core::CommandCounters& counters) {
  json kinds = json::object();
  for (size_t kind = 0; kind < core::kCommandKinds; ++kind)
    if (const uint64_t answered = counters.answered[kind].get(); answered != 0)
      kinds[core::name_of(static_cast<core::CommandKind>(kind))] = {{"answered", answered},
                                                                    {"failed", failures_of(counters, kind)}};
  return kinds;
}

json latency_report(const core::LatencyCounters& counters) {
  return {{"target", by_name<core::Operation>(counters.target)},
          {"device", by_name<core::Operation>(counters.device)},
          {"rdma", by_name<core::RdmaDirection>(counters.rdma)}};
}

json hosts_report(const std::vector<HostFigures>& hosts) {
  json all = json::array();
  for (const HostFigures& host : hosts)
    all.push_back({{"nqn", host.nqn},
                   {"reads", by_path(host.traffic->reads)},
                   {"writes", by_path(host.traffic->writes)},
                   {"over_share", host.traffic->over_share.get()}});
  return all;
}

json reactors_report(const std::vector<ReactorFigures>& reactors) {
  json all = json::array();
  for (const ReactorFigures& one : reactors)
    all.push_back({{"index", one.index},
                   {"cpu_us", one.cpu_ns / 1000},
                   {"polled_in_vain_us", one.polled_in_vain_us},
                   {"turns", one.turns},
                   {"sleeps", one.sleeps}});
  return all;
}

json refusals_report(const Figures& figures) {
  const core::TargetCounters& target = figures.target->counters;
  json connects = json::object();
  for (size_t reason = 0; reason < core::kConnectRefusals; ++reason)
    connects[core::name_of(static_cast<core::ConnectRefusal>(reason))] = target.refused_connects[reason];
  json rdma_cm = json::object();
  for (size_t status = 1; status < figures.transport.rejected.size(); ++status)
    rdma_cm[std::to_string(status)] = figures.transport.rejected[status];
  json stalled = json::object();
  for (size_t cause = 0; cause < rdma::kStalls; ++cause)
    stalled[rdma::name_of(static_cast<rdma::Stall>(cause))] = figures.transport.stalled[cause];
  return {{"connects", std::move(connects)},
          {"rdma_cm", std::move(rdma_cm)},
          {"failed_connections", figures.transport.failed},
          {"stalled_connections", std::move(stalled)},
          {"keep_alive_expiries", target.keep_alive_expiries}};
}

json authentications_report(const core::Target& target) {
  json failed = json::object();
  for (size_t reason = 0; reason < core::kAuthenticationFailures; ++reason)
    failed[core::name_of(static_cast<core::AuthenticationFailure>(reason))] =
        target.counters.failed_authentications[reason];
  return {{"succeeded", target.counters.authentications},
          {"failed", std::move(failed)},
          {"refused_addresses", target.failed_attempts.refused(core::Target::Clock::now())}};
}

}  // namespace nvmf::daemon
