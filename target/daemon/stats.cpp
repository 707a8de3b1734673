#include "target/daemon/stats.h"

#include <nlohmann/json.hpp>

#include "target/daemon/ana.h"
#include "target/daemon/counter_report.h"
#include "target/daemon/figures.h"
#include "target/daemon/slices.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;

const char* name_of(core::P2pMode mode) {
  switch (mode) {
    case core::P2pMode::Off:
      return "off";
    case core::P2pMode::Prefer:
      return "prefer";
    case core::P2pMode::Require:
      return "require";
  }
  return "?";
}

json commands_and_bytes(const core::PathCounters& counters) {
  return {{"commands", counters.commands.get()}, {"bytes", counters.bytes.get()}};
}

json by_path(const std::array<core::PathCounters, core::kDataPaths>& counters) {
  json paths = json::object();
  for (size_t path = 0; path < core::kDataPaths; ++path)
    paths[core::name_of(static_cast<core::DataPath>(path))] = commands_and_bytes(counters[path]);
  return paths;
}

json by_reason(const std::array<core::PathCounters, core::kFallbacks>& counters) {
  json reasons = json::object();
  for (size_t reason = 1; reason < core::kFallbacks; ++reason)
    reasons[core::name_of(static_cast<core::Fallback>(reason))] = commands_and_bytes(counters[reason]);
  return reasons;
}

json of_namespace(const ServedNamespace& served) {
  const auto counters = counters_of(served);
  return {
      {"subsystem", served.subsystem},
      {"nsid", served.wanted.nsid},
      {"device", served.device->info().description},
      {"p2p", {{"mode", name_of(served.p2p.mode)}, {"provider", served.p2p.provider}, {"verdict", served.p2p.verdict}}},
      {"reads", by_path(counters->reads)},
      {"writes", by_path(counters->writes)},
      {"fallbacks", by_reason(counters->fallbacks)},
      {"other_commands", counters->other_commands.get()},
      {"errors", counters->errors.get()},
      {"waits", counters->waits.get()},
      {"throttled", counters->throttled.get()},
      {"commands", commands_report(counters->commands)},
      {"latency", latency_report(counters->latency)}};
}

json all_but_namespaces(const core::Target& target, const rdma::Transport& transport, const Figures& figures) {
  json subsystems = json::array();
  for (const auto& subsystem : target.subsystems())
    subsystems.push_back(
        {{"nqn", subsystem->nqn()}, {"controllers", subsystem->controllers().size()}, {"ana", ana_states(*subsystem)}});
  return {{"connections", transport.connections()},        {"refused_by_rate", transport.refused_by_rate()},
          {"subsystems", std::move(subsystems)},           {"hosts", hosts_report(figures.hosts)},
          {"reactors", reactors_report(figures.reactors)}, {"refusals", refusals_report(figures)}};
}

}  // namespace

json fallbacks(const ServedNamespace& served) { return by_reason(counters_of(served)->fallbacks); }

boost::asio::awaitable<json> stats(core::Target& target, const rdma::Transport& transport, const Storage& storage,
                                   Figures figures) {
  json all = all_but_namespaces(target, transport, figures);
  json namespaces = json::array();
  const std::vector<ServedSource> sources = served_namespaces_of(storage);
  co_await in_slices(sources.size(), [&](size_t i) {
    if (const ServedNamespace* const served = sources[i]()) namespaces.push_back(of_namespace(*served));
  });
  all["namespaces"] = std::move(namespaces);
  co_return all;
}

}  // namespace nvmf::daemon
