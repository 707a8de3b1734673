#include "target/daemon/stats.h"

#include <nlohmann/json.hpp>

#include "target/daemon/ana.h"

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

// The sum of one counter over the poll groups.
template <class Select>
uint64_t sum(const ServedNamespace& served, Select select) {
  uint64_t total = select(served.past).get();
  for (const auto& view : served.on_group) total += select(view->counters).get();
  return total;
}

template <class Select>
json commands_and_bytes(const ServedNamespace& served, Select select) {
  return {{"commands", sum(served, [&](const auto& c) -> const core::Counter& { return select(c).commands; })},
          {"bytes", sum(served, [&](const auto& c) -> const core::Counter& { return select(c).bytes; })}};
}

template <class Direction>
json by_path(const ServedNamespace& served, Direction direction) {
  json paths = json::object();
  for (size_t path = 0; path < core::kDataPaths; ++path)
    paths[core::name_of(static_cast<core::DataPath>(path))] = commands_and_bytes(
        served, [&](const core::IoCounters& c) -> const core::PathCounters& { return (c.*direction)[path]; });
  return paths;
}

json of_namespace(const ServedNamespace& served) {
  const auto counter = [&](core::Counter core::IoCounters::*which) {
    return sum(served, [&](const core::IoCounters& c) -> const core::Counter& { return c.*which; });
  };
  return {
      {"subsystem", served.subsystem},
      {"nsid", served.wanted.nsid},
      {"device", served.device->info().description},
      {"p2p", {{"mode", name_of(served.p2p.mode)}, {"provider", served.p2p.provider}, {"verdict", served.p2p.verdict}}},
      {"reads", by_path(served, &core::IoCounters::reads)},
      {"writes", by_path(served, &core::IoCounters::writes)},
      {"fallbacks", fallbacks(served)},
      {"other_commands", counter(&core::IoCounters::other_commands)},
      {"errors", counter(&core::IoCounters::errors)},
      {"waits", counter(&core::IoCounters::waits)},
      {"throttled", counter(&core::IoCounters::throttled)}};
}

}  // namespace

json fallbacks(const ServedNamespace& served) {
  json reasons = json::object();
  for (size_t reason = 1; reason < core::kFallbacks; ++reason)
    reasons[core::name_of(static_cast<core::Fallback>(reason))] = commands_and_bytes(
        served, [&](const core::IoCounters& c) -> const core::PathCounters& { return c.fallbacks[reason]; });
  return reasons;
}

json stats(core::Target& target, const rdma::Transport& transport, const Storage& storage) {
  json subsystems = json::array();
  for (const auto& subsystem : target.subsystems())
    subsystems.push_back(
        {{"nqn", subsystem->nqn()}, {"controllers", subsystem->controllers().size()}, {"ana", ana_states(*subsystem)}});
  json namespaces = json::array();
  for (const auto& served : storage.namespaces()) namespaces.push_back(of_namespace(*served));
  return {{"connections", transport.connections()},
          {"subsystems", std::move(subsystems)},
          {"namespaces", std::move(namespaces)}};
}

}  // namespace nvmf::daemon
