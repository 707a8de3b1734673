// A daemon of which only the config is real: what the admin API and its commands are tested with.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "config/diff.h"
#include "config/parse.h"
#include "target/daemon/admin_actions.h"

namespace nvmf::daemon {

class FakeDaemon : public AdminActions {
 public:
  using Ports = std::optional<std::vector<uint16_t>>;

  static constexpr char kNqn[] = "nqn.2026-01.io.example:disks/1";
  static constexpr char kHost[] = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001";

  FakeDaemon() { take(named("the config", kText)); }

  Json status() override {
    return {{"version", "0.1.0"},
            {"uptime_s", 93784},
            {"started_ms", started_ms},
            {"upgraded_from", ""},
            {"upgrade_failure", upgrade_failure},
            {"config", "/etc/nvmf-p2p/config.json"},
            {"drop_ins", drop_ins},
            {"unsaved_changes", unsaved},
            {"log_level", "info"},
            {"shutting_down", false},
            {"ports",
             {{{"id", 1},
               {"address", port_address},
               {"addresses", port_reason.empty() ? Json{"192.0.2.10", "192.0.2.11"} : Json::array()},
               {"service", 4420},
               {"state", port_reason.empty() ? "listening" : "waiting"},
               {"reason", port_reason}}}},
            {"subsystems", 1},
            {"namespaces", 2},
            {"missing_namespaces", missing_namespaces},
            {"last_reload", last_reload},
            {"unready", unready},
            {"faults", faults},
            {"unsaved_identifiers", unsaved_identifiers},
            {"awaited_devices", awaited_devices},
            {"unreadable_keys", unreadable_keys},
            {"state_dir_fault", state_dir_fault},
            {"rdma_devices", Json::array({{{"name", "rocep1s0"}, {"io_queues", 4}, {"max_io_queues", 81}}})},
            {"controllers", 1},
            {"authentications", {{"succeeded", 2}, {"failed", {{"protocol", 1}}}, {"refused_addresses", 0}}},
            {"connections", 3}};
  }
  Json subsystems() override {
    return {{{"nqn", kNqn},
             {"serial", "S1"},
             {"model", "nvmf-p2p"},
             {"ports", {1}},
             {"allow_any_host", false},
             {"allowed_hosts", {kHost}},
             {"hosts", Json::array()},
             {"controllers", 1},
             {"namespaces", 2},
             {"ana", Json::array()}}};
  }
  Json namespaces() override {
    const Json limits = {{"subsystem", kNqn},           {"ana_group", 1}, {"read_only", false},
                         {"visible_to", Json::array()}, {"max_iops", 0},  {"max_mib_per_s", 100}};
    Json served = {{"nsid", 1},
                   {"state", "served"},
                   {"device", "/dev/ng0n1"},
                   {"block_bytes", 512},
                   {"size_bytes", uint64_t{3} << 29U},
                   {"p2p", {{"mode", "prefer"}, {"provider", ""}, {"verdict", "data goes through DRAM: no CMB"}}}};
    Json absent = {{"nsid", 2}, {"state", "missing"}, {"reason", "cannot open /dev/ng7n1"}};
    served.update(limits);
    absent.update(limits);
    return {served, absent};
  }
  Json connections() override {
    const Json queues = {
        {{"qid", 0}, {"depth", 32}, {"peer", "192.0.2.7:41512"}, {"rnic", "mlx5_0"}, {"path_mtu", 4096}},
        {{"qid", 1}, {"depth", 128}, {"peer", "192.0.2.7:41513"}, {"rnic", "mlx5_0"}, {"path_mtu", 4096}}};
    return {{"hosts",
             {{{"nqn", host},
               {"controllers",
                {{{"subsystem", kNqn},
                  {"discovery", false},
                  {"cntlid", 7},
                  {"port", 1},
                  {"peer", "192.0.2.7:41512"},
                  {"ready", true},
                  {"authentication", {{"state", "done"}, {"key", "0123456789abcdef"}}},
                  {"keep_alive_ms", 5000},
                  {"queues", queues},
                  {"p2p", {{{"nsid", 1}, {"usable", false}, {"reason", "no CMB"}}}}}}}}}}};
  }
  Json p2p() override {
    const Json trust = {{"any_offset_from_mtu", nullptr}, {"page_start_from_mtu", 4096}};
    return {{"ssds",
             {{{"address", "0000:3b:00.0"},
               {"cmb_bytes", 1U << 26U},
               {"failure", ""},
               {"rnics",
                {{{"rnic", "mlx5_0"},
                  {"active_mtu", 4096},
                  {"host_reads", trust},
                  {"host_writes", trust},
                  {"findings", {"whole pages come through"}},
                  {"remedies", Json::array()},
                  {"pools", {{{"size_bytes", 1U << 20U}, {"used_bytes", 1U << 18U}}}}}}}}}},
            {"namespaces", Json::array()}};
  }
  boost::asio::awaitable<Json> prove(std::string ssd) override {
    if (!ssd.empty() && ssd != "0000:3b:00.0")
      throw config::EditError(config::EditError::Kind::Absent, "no namespace is configured to use that CMB");
    if (is_shutting_down) throw Refused("the daemon is shutting down");
    done = "prove " + ssd;
    co_return p2p();
  }
  boost::asio::awaitable<Json> stats() override { co_return stats_now(); }
  Json ana() override {
    return {{{"subsystem", kNqn}, {"states", {{{"group", 1}, {"port", 1}, {"state", "optimized"}}}}}};
  }
  Json reservations() override {
    if (!is_reserved) return Json::array();
    const Json dead = {{"host_id", "3c1e2f4a-0000-4000-8000-000000000001"},
                       {"hosts", {kHost}},
                       {"controllers", 0},
                       {"key", "0xa11ce"},
                       {"holder", true}};
    return {{{"subsystem", kNqn},
             {"nsid", 1},
             {"type", "write-exclusive"},
             {"generation", 2},
             {"persists", true},
             {"registrants", Json::array({dead})}}};
  }
  Json write_protection() override {
    return {{{"subsystem", kNqn}, {"nsid", 1}, {"state", "protected"}, {"read_only", false}},
            {{"subsystem", kNqn}, {"nsid", 2}, {"state", "none"}, {"read_only", true}}};
  }
  Change clear_reservation(std::string nqn, uint32_t nsid, bool force) override {
    if (nqn != kNqn || nsid != 1 || !is_reserved)
      throw config::EditError(config::EditError::Kind::Absent, "no host is registered");
    if (!force) throw Refused("repeat with force=true (nvmf-p2p: --force)");
    is_reserved = false;
    ConfigChange changed;
    changed.changes.emplace_back("clear the reservation on namespace 1");
    co_return changed;
  }
  Change clear_write_protection(std::string nqn, uint32_t nsid) override {
    if (nqn != kNqn || nsid != 1) throw Refused("nobody can end that");
    ConfigChange changed;
    changed.changes.emplace_back("clear the write protection of namespace 1");
    co_return changed;
  }
  EventStream& events() override { return stream; }
  const config::Json& running_config() override { return document_; }

  Change reload(bool force) override {
    reload_was_forced = force;
    co_return compare(named("the file", file));
  }
  Change change(Edit edit, std::optional<std::string> if_match) override {
    if (if_match && *if_match != version()) throw Refused("the running config has changed meanwhile");
    config::Json wanted = document_;
    edit(wanted);
    const config::Sources sources = named("the changed config", config::text_of(wanted));
    ConfigChange changed = compare(sources);
    if (changed.verdict == ConfigChange::Verdict::Good) {
      take(sources);
      unsaved.insert(unsaved.end(), changed.changes.begin(), changed.changes.end());
    }
    co_return changed;
  }
  std::string version() override { return std::to_string(std::hash<std::string>{}(document_.dump())); }
  Change replace(config::Sources sources, std::optional<std::string> if_match) override {
    if (if_match && *if_match != version()) throw Refused("the running config has changed meanwhile");
    ConfigChange changed = compare(sources);
    if (changed.verdict == ConfigChange::Verdict::Good) take(sources);
    co_return changed;
  }
  Change accept(std::string nqn, uint32_t nsid) override {
    if (nqn != kNqn || nsid != 2)
      throw config::EditError(config::EditError::Kind::Absent, "no storage is waiting to be accepted");
    ConfigChange changed;
    changed.changes.emplace_back("accept the storage of namespace 2");
    co_return changed;
  }
  ConfigChange compare(const config::Sources& sources) override {
    const config::Result wanted = config::parse(sources);
    ConfigChange changed;
    for (const auto& diagnostic : wanted.diagnostics) changed.reasons.push_back(to_string(diagnostic));
    if (!wanted.config) {
      changed.verdict = ConfigChange::Verdict::Mistaken;
      return changed;
    }
    const config::Difference difference = config::diff(config_, *wanted.config);
    changed.changes = config::describe(difference);
    changed.reasons.insert(changed.reasons.end(), difference.needs_restart.begin(), difference.needs_restart.end());
    if (!difference.needs_restart.empty()) changed.verdict = ConfigChange::Verdict::NeedsRestart;
    return changed;
  }
  boost::asio::awaitable<SavedFiles> save(bool force) override {
    if (edited && !force) throw Refused("the file was changed; use --force");
    if (!may_save) throw std::runtime_error("cannot open /etc/nvmf-p2p/config.json: Read-only file system");
    unsaved.clear();
    co_return saved;
  }
  void set_ana(const config::Json& request) override {
    if (request.at("subsystem") != kNqn)
      throw config::EditError(config::EditError::Kind::Absent, "there is no such subsystem");
    done = "ana " + request.at("state").get<std::string>();
  }
  Ports drain(std::optional<uint16_t> port) override { return operate("drain", port, true); }
  Ports resume(std::optional<uint16_t> port) override { return operate("resume", port, false); }
  boost::asio::awaitable<UpgradePlan> prepare_upgrade(bool force) override {
    UpgradePlan planned = plan;
    if (force) planned.notes.emplace_back("namespace 1 is in memory: its data is lost");
    if (!force) planned.obstacles.insert(planned.obstacles.end(), needs_force.begin(), needs_force.end());
    co_return planned;
  }
  void hand_over() override {
    done = "hand over";
    ++started_ms;
    upgrade_failure = failure_of_upgrade;
  }
  size_t disconnect(const std::string& hostnqn) override {
    if (hostnqn.empty()) return has_host_without_nqn ? 1 : 0;
    for (size_t i = 0; i <= EventStream::kRing / 2; ++i)
      stream.add({.kind = core::EventKind::Disconnect, .message = "a host has left"});
    return hostnqn == kHost ? 2 : 0;
  }

  static constexpr char kText[] = R"({
    // comments are allowed
    "ports": [{ "id": 1, "address": "192.0.2.10" }],
    "subsystems": [{
      "nqn": "nqn.2026-01.io.example:disks/1",
      "allowed_hosts": ["nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001"],
      "namespaces": [{ "memory": "1MiB" }, { "memory": "2MiB" }]
    }]
  })";

  EventStream stream{"run"};
  std::string host = kHost;  // that is connected
  std::string file = kText;
  std::string port_address = "192.0.2.10";
  std::string port_reason;     // why its port waits
  int missing_namespaces = 1;  // namespaces
  Json last_reload = nullptr;
  std::vector<std::string> unready;
  Json faults = Json::array();
  std::vector<std::string> unsaved;
  std::vector<std::string> drop_ins;
  SavedFiles saved{.file = "/etc/nvmf-p2p/config.json", .files = {"/etc/nvmf-p2p/config.json"}};
  std::vector<std::string> unsaved_identifiers;
  std::vector<std::string> awaited_devices;
  std::vector<std::string> unreadable_keys;
  std::string state_dir_fault;
  std::string done;  // the last operation
  UpgradePlan plan{.version = "0.2.0"};
  std::vector<std::string> needs_force;  // obstacles of an upgrade without force
  std::string failure_of_upgrade;        // what becomes of the next one
  std::string upgrade_failure;
  int64_t started_ms = 1'764'500'000'000;
  bool is_reserved = true;  // its namespace 1
  bool has_host_without_nqn = false;
  bool is_shutting_down = false;
  bool may_save = true;
  bool edited = false;  // the file, since it was read
  bool reload_was_forced = false;

 private:
  static Json stats_now() {
    const Json traffic = {{"nqn", kHost}, {"over_share", 3}};
    return {{"connections", 3},
            {"subsystems", Json::array()},
            {"namespaces", Json::array()},
            {"hosts", Json::array({traffic})}};
  }
  static config::Sources named(const char* name, std::string text) {
    config::Sources sources;
    sources.file = {name, std::move(text)};
    return sources;
  }
  void take(const config::Sources& sources) {
    config::Result result = config::parse(sources);
    document_ = config::editable(sources, *result.config);
    config_ = *std::move(result.config);
  }
  Ports operate(const char* what, std::optional<uint16_t> port, bool drains) {
    if (port && *port != 1) return std::nullopt;
    done = std::string(what) + (port ? " 1" : " all");
    stream.add({.kind = core::EventKind::Port, .message = done});
    if (std::exchange(drained_, drains) == drains) return std::vector<uint16_t>{};
    return std::vector<uint16_t>{1};
  }

  config::Config config_;
  config::Json document_;
  bool drained_ = false;  // its only port
};

}  // namespace nvmf::daemon
