#include "target/daemon/ana.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>

#include "config/names.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;

std::string_view word_for(core::AnaState state) {
  for (const auto& [word, named] : config::kAnaStateNames) {
    if (ana_state_of(named) == state) return word;
  }
  return {};
}

core::AnaState state_from(const std::string& word) {
  for (const auto& [name, state] : config::kAnaStateNames) {
    if (name == word) return ana_state_of(state);
  }
  throw std::invalid_argument(
      "\"state\" must be \"optimized\", \"non-optimized\", \"inaccessible\", \"persistent-loss\" or \"change\"");
}

std::string text_at(const config::Json& request, const char* key) {
  const config::Json& value = request.at(key);
  if (value.is_string()) return value.get<std::string>();
  throw std::invalid_argument(std::string("\"") + key + "\" must be a string");
}

// nlohmann's own conversion would truncate a number that is too large.
template <class Number>
Number number_at(const config::Json& request, const char* key) {
  const config::Json& value = request.at(key);
  constexpr uint64_t kMost = std::numeric_limits<Number>::max();
  if (value.is_number_unsigned() && value.get<uint64_t>() <= kMost) return value.get<Number>();
  throw std::invalid_argument(std::string("\"") + key + "\" must be an integer from 1 to " + std::to_string(kMost));
}

}  // namespace

core::AnaState ana_state_of(config::AnaState state) {
  switch (state) {
    case config::AnaState::optimized:
      return core::AnaState::Optimized;
    case config::AnaState::non_optimized:
      return core::AnaState::NonOptimized;
    case config::AnaState::inaccessible:
      return core::AnaState::Inaccessible;
    case config::AnaState::persistent_loss:
      return core::AnaState::PersistentLoss;
    case config::AnaState::change:
      return core::AnaState::Change;
  }
  return core::AnaState::Optimized;
}

json ana_states(const core::Subsystem& subsystem) {
  std::set<uint32_t> groups;
  for (const core::NamespaceOptions& ns : subsystem.namespaces()) groups.insert(ns.ana_group);
  json states = json::array();
  for (const uint32_t group : groups) {
    for (const uint16_t port : subsystem.options().ports)
      states.push_back({{"group", group}, {"port", port}, {"state", word_for(subsystem.ana().state(group, port))}});
  }
  return states;
}

void set_ana_state(core::Target& target, const config::Json& request) {
  const std::string nqn = text_at(request, "subsystem");
  const auto group = number_at<uint32_t>(request, "group");
  const auto port = number_at<uint16_t>(request, "port");
  const std::string word = text_at(request, "state");
  core::Subsystem* subsystem = target.find_subsystem(nqn);
  if (subsystem == nullptr || subsystem->is_discovery())
    throw config::EditError(config::EditError::Kind::Absent, "there is no subsystem " + nqn);
  if (std::ranges::find(subsystem->options().ports, port) == subsystem->options().ports.end())
    throw config::EditError(config::EditError::Kind::Absent,
                            "subsystem " + nqn + " is not on a port " + std::to_string(port));
  subsystem->set_ana_state(group, port, state_from(word));
  spdlog::info("subsystem {}: ANA group {} is {} on port {}", nqn, group, word, port);
}

}  // namespace nvmf::daemon
