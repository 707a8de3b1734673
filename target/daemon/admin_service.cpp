#include "target/daemon/admin_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "config/characters.h"
#include "config/names.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/admin_api.h"
#include "target/daemon/admin_views.h"
#include "target/daemon/ana.h"
#include "target/daemon/counter_report.h"
#include "target/daemon/end_controllers.h"
#include "target/daemon/log.h"
#include "target/daemon/stats.h"

namespace nvmf::daemon {

using nlohmann::json;

namespace {

constexpr size_t kMostAuditedBytes = 512;  // of a body; of a whole config the changes are in the log

std::string shortened(const std::string& text) {
  return text.size() <= kMostAuditedBytes ? text : std::string(config::beginning_of(text, kMostAuditedBytes)) + "...";
}

std::string without_line_break(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

// «refused, nothing has changed: the config has mistakes: REASON; REASON», of an answer of this API.
std::string sentence_of(const std::string& answer) {
  const json body = json::parse(answer, nullptr, false);
  if (!body.is_object()) return without_line_break(answer);
  std::string text = body.value("error", "");
  const char* separator = ": ";
  for (const json& reason : body.value("reasons", json::array())) {
    text += separator + reason.get<std::string>();
    separator = "; ";
  }
  return text;
}

// Whether the answer has a list of what was changed, and the list is empty.
bool has_changed_nothing(const std::string& answer) {
  const json body = json::parse(answer, nullptr, false);
  constexpr std::array<const char*, 3> kLists = {"changes", "ports", "files"};
  return body.is_object() && std::ranges::any_of(kLists, [&](const char* const list) {
           return body.contains(list) && body.at(list).empty();
         });
}

std::string result_of(const HttpAudit& audit) {
  if (audit.status < 300) return has_changed_nothing(audit.answer) ? "nothing changed" : "done";
  return fmt::format("{}, status {}: {}", audit.status >= 500 ? "failed" : "refused", audit.status,
                     shortened(sentence_of(audit.answer)));
}

// Who asked for what on which socket, and what became of it.
void write_audit_line(const HttpAudit& audit, const std::string& socket) {
  if (audit.target.starts_with("/v1/diff")) return;  // changes nothing
  const std::string who = audit.peer ? fmt::format("uid {}, pid {}", audit.peer->uid, audit.peer->pid) : "unknown";
  log_always(fmt::format("audit: {}, socket {}: {} {}{}{}: {}", who, socket, audit.method, audit.target,
                         audit.body.empty() ? "" : " ", shortened(without_line_break(audit.body)), result_of(audit)));
}

// Of a file of the config, for clients, which have other working directories.
std::string absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path found = std::filesystem::absolute(path, error);
  return error ? path : found.string();
}

std::vector<std::string> absolute(std::vector<std::string> paths) {
  for (std::string& path : paths) path = absolute(path);
  return paths;
}

// Where there are many, the number of missing namespaces tells so.
constexpr size_t kMostFaults = 64;

json faults_in(const Conditions& conditions) {
  json faults = json::array();
  for (const Problem& problem : problems_in(conditions))
    if (problem.weight == Problem::Weight::Fault && faults.size() < kMostFaults)
      faults.push_back({{"what", problem.what}, {"remedy", problem.remedy}});
  return faults;
}

json report_of(const std::optional<Reload::Last>& last) {
  if (!last) return nullptr;
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(last->time.time_since_epoch());
  return {{"succeeded", last->succeeded}, {"time_ms", time.count()}};
}

}  // namespace

void AdminService::listen(boost::asio::io_context& io) {
  const config::Admin& wanted = parts_.running.config().admin;
  socket_.emplace(wanted.socket);
  server_
      .emplace(admin_routes(*this), HttpLimits{},
               [socket = wanted.socket](const HttpAudit& audit) { write_audit_line(audit, socket); })
      .serve(socket_->listen(io, {.owner = wanted.owner, .group = wanted.group, .mode = wanted.mode}));
  spdlog::info("the admin API listens on {}", wanted.socket);
  if (!wanted.read_only_socket) return;
  // What is asked for there is no change, so it is no line of the log.
  const HttpLimits limits{
      .read_only = "this socket is read-only: it takes GET and no other method; changes go through " + wanted.socket};
  read_only_socket_.emplace(*wanted.read_only_socket);
  read_only_server_.emplace(admin_routes(*this), limits)
      .serve(read_only_socket_->listen(
          io, {.owner = wanted.owner, .group = wanted.read_only_group, .mode = wanted.read_only_mode}));
  spdlog::info("the admin API listens on {} for requests that change nothing", *wanted.read_only_socket);
}

AdminActions::Json AdminService::status() {
  const core::Target& target = parts_.target;
  std::vector<core::Port> by_id = target.ports();
  std::ranges::sort(by_id, {}, &core::Port::id);
  json ports = json::array();
  for (const core::Port& port : by_id)
    ports.push_back({{"id", port.id},
                     {"address", port.address},
                     {"addresses", parts_.ports.addresses_of(port.id)},
                     {"service", port.service},
                     {"state", parts_.ports.state_of(port)},
                     {"reason", parts_.ports.reason_of(port.id)}});
  json devices = json::array();
  for (const auto& rnic : parts_.transport.rnics())
    devices.push_back({{"name", rnic->name()},
                       {"io_queues", rnic->io_queues()},
                       {"max_io_queues", rnic->io_queue_capacity(target.options().max_queue_depth)}});
  size_t controllers = 0;
  for (const auto& subsystem : target.subsystems()) controllers += subsystem->controllers().size();
  const auto uptime = std::chrono::steady_clock::now() - started_;
  return {{"version", NVMF_P2P_VERSION},
          {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
          {"started_ms", std::chrono::duration_cast<std::chrono::milliseconds>(started_at_.time_since_epoch()).count()},
          {"upgraded_from", parts_.program.former_version()},
          {"upgrade_failure", parts_.program.upgrade_failure()},
          {"config", absolute(parts_.running.file())},
          {"drop_ins", absolute(parts_.running.drop_ins())},
          {"config_version", parts_.running.version()},
          {"unsaved_changes", parts_.running.unsaved()},
          {"log_level", config::to_string(parts_.running.config().log_level)},
          {"shutting_down", parts_.changes.closed()},
          {"ports", std::move(ports)},
          {"rdma_devices", std::move(devices)},
          {"subsystems", target.subsystems().size()},
          {"namespaces", parts_.storage.namespaces().size()},
          {"missing_namespaces", parts_.reload.missing().size()},
          {"last_reload", report_of(parts_.reload.last())},
          {"unready", parts_.unready()},
          {"faults", faults_in(parts_.conditions())},
          {"unsaved_identifiers", parts_.storage.unkept()},
          {"awaited_devices", parts_.storage.awaited()},
          {"unreadable_keys", parts_.reload.unreadable_keys()},
          {"state_dir_fault", parts_.state_watch.fault()},
          {"controllers", controllers},
          {"authentications", authentications_report(target)},
          {"connections", parts_.transport.connections()}};
}

AdminActions::Json AdminService::subsystems() { return subsystems_view(parts_.target); }

AdminActions::Json AdminService::namespaces() {
  return namespaces_view(parts_.running.config(), parts_.storage, parts_.reload.missing());
}

AdminActions::Json AdminService::connections() {
  return connections_view(parts_.target, parts_.transport, parts_.storage, parts_.peer_memories);
}

AdminActions::Json AdminService::p2p() { return p2p_view(parts_.peer_memories, parts_.storage); }

boost::asio::awaitable<AdminActions::Json> AdminService::prove(std::string ssd) {
  co_await parts_.ports.prove(std::move(ssd));
  co_return p2p();
}

boost::asio::awaitable<AdminActions::Json> AdminService::stats() {
  return daemon::stats(parts_.target, parts_.transport, parts_.storage, parts_.figures());
}

AdminActions::Json AdminService::ana() {
  json list = json::array();
  for (const auto& subsystem : parts_.target.subsystems())
    list.push_back({{"subsystem", subsystem->nqn()}, {"states", ana_states(*subsystem)}});
  return list;
}

boost::asio::awaitable<SavedFiles> AdminService::save(bool force) {
  std::optional<SavedFiles> saved;
  const auto work = [&]() -> Change {
    saved = co_await parts_.running.save(force, parts_.files);
    co_return ConfigChange{};
  };
  const ConfigChange refused = co_await parts_.changes.alone(work);
  if (!saved) throw Refused(refused.reasons.front());
  co_return SavedFiles{.file = absolute(saved->file),
                       .files = absolute(saved->files),
                       .left = absolute(saved->left),
                       .not_given = absolute(saved->not_given)};
}

void AdminService::set_ana(const config::Json& wanted) {
  set_ana_state(parts_.target, wanted);
  parts_.transport.turn_admin();
}

size_t AdminService::disconnect(const std::string& hostnqn) {
  const size_t count = end_controllers(parts_.target, "the operator disconnects host " + hostnqn,
                                       [&](const core::Controller& one) { return one.host().nqn == hostnqn; });
  parts_.transport.turn_admin();
  return count;
}

}  // namespace nvmf::daemon
