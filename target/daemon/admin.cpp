// What the admin API lets its clients see and do, as the running daemon does it. Changes of the config: reload.cpp.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/diff.h"
#include "config/names.h"
#include "config/parse.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/admin_api.h"
#include "target/daemon/admin_views.h"
#include "target/daemon/ana.h"
#include "target/daemon/daemon.h"
#include "target/daemon/durable_file.h"
#include "target/daemon/stats.h"
#include "target/nvme/fabrics.h"

namespace nvmf::daemon {
namespace {

using nlohmann::json;

// Ends the controllers that fit, and returns how many they were.
template <class Fits>
size_t end_controllers(core::Target& target, const std::string& reason, Fits fits) {
  size_t count = 0;
  const auto end = [&](const core::Subsystem& subsystem) {
    for (const auto& controller : subsystem.controllers()) {
      if (!fits(*controller)) continue;
      controller->fail(reason);
      ++count;
    }
  };
  for (const auto& subsystem : target.subsystems()) end(*subsystem);
  if (const core::Subsystem* discovery = target.find_subsystem(nvme::kDiscoveryNqn)) end(*discovery);
  return count;
}

}  // namespace

void Daemon::serve_admin() {
  const config::Admin& wanted = config_.admin;
  admin_socket_.emplace(wanted.socket);
  admin_.emplace(admin_routes(*this))
      .serve(admin_socket_->listen(io_, {.owner = wanted.owner, .group = wanted.group, .mode = wanted.mode}));
  spdlog::info("the admin API is on {}", wanted.socket);
}

const char* Daemon::state_of(const core::Port& port) const {
  if (drained_.contains(port.id)) return "drained";
  return transport_.is_listening(port.id) ? "listening" : "waiting";
}

AdminActions::Json Daemon::status() {
  json ports = json::array();
  for (const core::Port& port : target_.ports())
    ports.push_back({{"id", port.id}, {"address", port.address}, {"service", port.service}, {"state", state_of(port)}});
  size_t controllers = 0;
  for (const auto& subsystem : target_.subsystems()) controllers += subsystem->controllers().size();
  const auto uptime = std::chrono::steady_clock::now() - started_;
  return {{"version", NVMF_P2P_VERSION},
          {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
          {"config", file_},
          {"unsaved_changes", unsaved_},
          {"log_level", config::to_string(config_.log_level)},
          {"shutting_down", shutting_down_},
          {"ports", std::move(ports)},
          {"subsystems", target_.subsystems().size()},
          {"namespaces", storage_.namespaces().size()},
          {"missing_namespaces", missing_.size()},
          {"controllers", controllers},
          {"connections", transport_.connections()}};
}

AdminActions::Json Daemon::subsystems() { return subsystems_view(target_); }

AdminActions::Json Daemon::namespaces() { return namespaces_view(config_, storage_, missing_); }

AdminActions::Json Daemon::connections() { return connections_view(target_, transport_, storage_, peer_memories_); }

AdminActions::Json Daemon::p2p() { return p2p_view(peer_memories_, storage_); }

AdminActions::Json Daemon::stats() { return daemon::stats(target_, transport_, storage_, figures()); }

AdminActions::Json Daemon::ana() {
  json list = json::array();
  for (const auto& subsystem : target_.subsystems())
    list.push_back({{"subsystem", subsystem->nqn()}, {"states", ana_states(*subsystem)}});
  return list;
}

ConfigChange Daemon::compare(const std::string& text, const std::string& name) {
  ConfigChange change;
  const config::Result wanted = config::parse(text, name);
  for (const auto& diagnostic : wanted.diagnostics) change.reasons.push_back(to_string(diagnostic));
  if (!wanted.config) {
    change.verdict = ConfigChange::Verdict::Mistaken;
    return change;
  }
  const config::Difference difference = config::diff(config_, *wanted.config);
  change.changes = config::describe(difference);
  if (difference.needs_restart.empty()) return change;
  change.verdict = ConfigChange::Verdict::NeedsRestart;
  std::ranges::copy(difference.needs_restart, std::back_inserter(change.reasons));
  return change;
}

std::string Daemon::save() {
  namespace fs = std::filesystem;
  // Where a symbolic link leads: the link stays.
  const fs::path file = fs::canonical(file_);
  const fs::perms mode = fs::status(file).permissions();
  fs::copy_file(file, file.string() + "~", fs::copy_options::overwrite_existing);
  replace_durably(file.string(), config::text_of(document_));
  fs::permissions(file, mode);
  unsaved_.clear();
  spdlog::info("saved what runs to {}; what the file held before, with its comments, is in {}~", file_, file.string());
  return file_;
}

void Daemon::set_ana(const std::string& wanted) {
  set_ana_state(target_, wanted);
  transport_.turn_admin();
}

bool Daemon::drain(std::optional<uint16_t> port) {
  bool found = false;
  for (const core::Port& one : target_.ports()) {
    if (port && *port != one.id) continue;
    found = true;
    if (!drained_.insert(one.id).second) continue;
    stop_listening(one.id);
    const size_t count = end_controllers(target_, "the operator drains port " + std::to_string(one.id),
                                         [&](const core::Controller& it) { return it.port_id() == one.id; });
    spdlog::info("port {} drains: {} controllers are seen out, no host may connect until it is resumed", one.id, count);
  }
  transport_.turn_admin();
  return found || !port;
}

bool Daemon::resume(std::optional<uint16_t> port) {
  bool found = false;
  for (const core::Port& one : target_.ports()) {
    if (port && *port != one.id) continue;
    found = true;
    if (drained_.erase(one.id) != 0 && !shutting_down_) listen(one, Attempt::First);
  }
  return found || !port;
}

size_t Daemon::disconnect(const std::string& hostnqn) {
  const size_t count = end_controllers(target_, "the operator disconnects host " + hostnqn,
                                       [&](const core::Controller& one) { return one.host().nqn == hostnqn; });
  transport_.turn_admin();
  return count;
}

}  // namespace nvmf::daemon
