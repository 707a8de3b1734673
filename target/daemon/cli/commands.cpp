#include "target/daemon/cli/commands.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "config/characters.h"
#include "config/limits.h"
#include "config/parse.h"
#include "config/printable.h"
#include "config/sources.h"
#include "target/daemon/cli/arguments.h"
#include "target/daemon/cli/settings.h"
#include "target/daemon/cli/text.h"
#include "target/daemon/cli/top_screen.h"
#include "target/daemon/cli/upgrade.h"

namespace nvmf::cli {
namespace {

constexpr std::chrono::milliseconds kStatusPoll{200};
constexpr char kAllSsds[] = "all";

std::string text_of(const config::SourceFault& fault) {
  const std::string name = fault.name == "-" ? "standard input" : config::printable(fault.name);
  return "cannot read " + name + ": " + fault.problem + "; " + fault.remedy;
}

// "-" is standard input.
config::Sources sources_at(const std::string& path) {
  config::Sources sources;
  std::string faults;
  for (const config::SourceFault& one : config::read_input_sources(path, sources))
    faults += (faults.empty() ? "" : "\n") + text_of(one);
  if (!faults.empty()) throw std::invalid_argument(faults);
  return sources;
}

// What openapi.json calls ConfigFiles.
std::string body_of(const config::Sources& sources) {
  Json drop_ins = Json::array();
  for (const config::SourceFile& one : sources.drop_ins) {
    Json drop_in = Json::object();
    drop_in["name"] = one.name;
    drop_in["text"] = one.text;
    drop_ins.push_back(std::move(drop_in));
  }
  Json body = Json::object();
  body["config"] = sources.file.text;
  body["drop_ins"] = std::move(drop_ins);
  try {
    return body.dump();
  } catch (const Json::type_error&) {
    const std::string name = config::printable(sources.file.name);
    throw std::invalid_argument(name + " or one of its drop-ins is not UTF-8 text: `nvmf-p2p check " + name +
                                "` says where");
  }
}

bool is_number(const std::string& text) { return !text.empty() && std::ranges::all_of(text, config::is_digit); }

// What the daemon's answer lacks, of what this version of the command expects in it.
std::string lacking(const Json::exception& error) {
  const std::string text = error.what();
  const size_t begin = text.find("key '");
  const size_t end = text.rfind("' not found");
  if (begin == std::string::npos || end == std::string::npos) return "its answer has another form";
  return '"' + text.substr(begin + 5, end - begin - 5) + "\" is missing in its answer";
}

std::string after_resume(const Json& port) {
  if (port.at("state") == "listening") return "hosts may connect again";
  const std::string reason = config::printable(port.at("reason").get<std::string>());
  if (port.at("state") == "waiting" && !reason.empty()) return "resumed, and waits: " + reason;
  return "resumed; see nvmf-p2p status";
}

// In ASCII, so that no name in it controls the terminal.
std::string text_of(const Json& answer) { return answer.dump(2, ' ', true, Json::error_handler_t::replace) + "\n"; }

// Of the daemon that runs with a config file.
std::string socket_of(const std::string& file) {
  const config::Result result = config::load(file);
  if (result.config) return result.config->admin.socket;
  throw std::invalid_argument(config::printable(file) + " has mistakes: nvmf-p2p check " + config::printable(file));
}

bool is_mistake(unsigned status) { return status == 400 || status == 422; }

}  // namespace

Commands::Commands(CLI::App& app) {
  add_views(app);
  add_top(app);
  add_config_changes(app);
  add_operations(app);
  add_upgrade(app);
  add_ana(app);
  add_namespace_states(app);
  add_events(app);
}

int Commands::run() const {
  try {
    return chosen_();
  } catch (const ClientError& error) {
    std::cerr << error.what() << '\n';
    return kExitFailed;
  } catch (const std::invalid_argument& error) {
    std::cerr << error.what() << '\n';
    return kExitUsage;
  } catch (const Json::exception& error) {
    std::cerr << "what answers on " << socket_ << " is not nvmf-p2p, or another version of it: " << lacking(error)
              << '\n';
    return kExitFailed;
  }
}

CLI::App* Commands::command(CLI::App& parent, const std::string& name, const std::string& what,
                            std::function<int()> run) {
  CLI::App* const added = parent.add_subcommand(name, what);
  added->add_option("--socket", socket_, "The daemon's admin socket")->type_name("PATH")->capture_default_str();
  added->add_flag("--json", json_, "Print the daemon's answer as JSON");
  added->callback([this, added, run = std::move(run)] {
    if (added->get_subcommands().empty()) chosen_ = run;
  });
  return added;
}

CLI::App* Commands::group(CLI::App& parent, const std::string& name, const std::string& what) {
  CLI::App* const added = parent.add_subcommand(name, what);
  added->require_subcommand(1);
  return added;
}

CLI::Option* Commands::take_nqn(CLI::App& command) {
  return command.add_option("subsystem", nqn_, "NQN of the subsystem")->type_name(kNqnType)->required();
}

void Commands::take_nsid(CLI::App& command) {
  decimal(command.add_option("nsid", nsid_, "Namespace identifier")->type_name(kNsidType)->required(),
          config::kMostNamespaces);
}

void Commands::take_settings(CLI::App& command) {
  command
      .add_option("settings", settings_,
                  "Keys of the config file. A value that is valid JSON is used as such, any other value as a string; "
                  "null removes the key")
      ->type_name("KEY=VALUE");
}

void Commands::add_views(CLI::App& app) {
  const auto add = [&](const char* name, const char* what, View view) {
    command(app, name, what, [this, name, view] { return show(std::string("/v1/") + name, view); });
  };
  command(app, "status", "Print the daemon's version, uptime, faults, unsaved changes and ports",
          [this] { return show_status(); })
      ->add_flag(
          "--exit-code", exit_code_,
          "Exit with status 3 when no host can connect, or there is a fault: a port that waits, a namespace that is "
          "missing, a reload that was refused, a state directory that cannot be written");
  add("subsystems", "List the subsystems in service", subsystems_view);
  add("namespaces", "List the namespaces; for a missing one, print why", namespaces_view);
  add("connections", "List the connected hosts and whether their data may go through a CMB", connections_view);
  add_p2p(app);
  add("stats", "List the counters since the start", stats_view);
}

void Commands::add_p2p(CLI::App& app) {
  CLI::App* const p2p =
      command(app, "p2p", "Print the proof of each SSD's CMB with each RNIC, and the commands that fell back to DRAM",
              [this] { return show_p2p(); });
  p2p->add_option("ssd", ssd_, "Only the SSD at this PCI address; all: every SSD")->type_name(kSsdType);
  p2p->add_flag(
      "--prove", prove_,
      "First repeat the self-test, in a part of the CMB that is kept for it, while hosts are served: data goes "
      "by what it proves from then on");
}

void Commands::add_top(CLI::App& app) {
  CLI::App* const top = command(app, "top", "Watch throughput, commands and latency, live; q quits", [this] {
    return run_top(Client(socket_), {.interval_s = interval_s_, .once = once_, .batch = batch_});
  });
  top->remove_option(top->get_option("--json"));
  top->add_option("--interval", interval_s_, "Seconds between two updates")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  top->add_flag("--once", once_, "Print one screen and exit");
  top->add_flag("--batch", batch_, "Print each screen as plain text, without control sequences, for a file");
}

void Commands::add_config_changes(CLI::App& app) {
  command(app, "reload", "Make the daemon read its config file, the drop-ins and the hosts' keys again and apply them",
          [this] { return change("POST", force_ ? "/v1/reload?force=true" : "/v1/reload"); })
      ->add_flag("--force", force_, "Also disconnect hosts that authenticated with a key that is no longer valid");
  CLI::App* const diff =
      command(app, "diff", "Print what a reload would change if FILE, with its drop-ins, were the config file",
              [this] { return compare(); });
  file_name(diff->add_option("file", file_, "The config file to compare with; - is standard input"))
      ->type_name("FILE")
      ->required();
  diff->add_flag("--exit-code", exit_code_, "Exit with status 3 when there is a difference");
  CLI::App* const apply = command(
      app, "apply", "Make FILE the running config; `save` makes it permanent. A repetition changes nothing", [this] {
        const ConfigRequest request = request_with_config();
        return change("PUT", "/v1/config" + request.query, request.body);
      });
  file_name(
      apply->add_option("file", file_, "The config file, which is applied with its drop-ins; - is standard input"))
      ->type_name("FILE")
      ->required();
  CLI::App* const accept = command(
      app, "accept", "Serve a namespace that was refused because its identifiers were served from other storage before",
      [this] { return change("POST", path_of_namespace() + "/accept"); });
  take_nqn(*accept);
  take_nsid(*accept);
  add_adds(*group(app, "add", "Add to the running config; `save` makes it permanent"));
  add_removes(*group(app, "remove", "Remove from the running config; `save` makes it permanent"));
  add_sets(*group(app, "set", "Change keys of the running config; `save` makes it permanent"));
  command(
      app, "save",
      "Write each change of the running config to the config file or the drop-in that it belongs to; comments in these "
      "files are lost, the previous files are kept as FILE~",
      [this] { return save(); })
      ->add_flag("--force", force_, "Overwrite files although they were changed after the daemon had read them");
  command(app, "log-level", "Set the daemon's log level",
          [this] { return change("PUT", "/v1/log-level/" + percent_encoded(level_)); })
      ->add_option("level", level_, "trace, debug, info, warn or error")
      ->type_name("LEVEL")
      ->required()
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
}

void Commands::add_adds(CLI::App& parent) {
  take_settings(*command(parent, "port", "Add a port: id=2 address=192.0.2.11", [this] {
    const auto id = std::ranges::find_if(settings_, is_number);
    if (id != settings_.end()) throw std::invalid_argument(not_a_setting(*id) + ": write id=" + *id);
    return change("POST", "/v1/ports", settings("add port id=2 address=192.0.2.11").dump());
  }));
  CLI::App* const subsystem = command(parent, "subsystem", "Add a subsystem: NQN allow_any_host=true", [this] {
    require_utf8("the NQN", nqn_);
    Json wanted = {{"nqn", nqn_}};
    wanted.update(settings("add subsystem NQN allow_any_host=true"));
    return change("POST", "/v1/subsystems", wanted.dump());
  });
  take_nqn(*subsystem);
  take_settings(*subsystem);
  CLI::App* const space = command(
      parent, "namespace", "Add a namespace: NQN nvme=/dev/ng0n1 p2p=require, or NQN nvme.serial=S4EWNX0R", [this] {
        return change("POST", path_of_subsystem() + "/namespaces",
                      settings("add namespace NQN nvme=/dev/ng0n1").dump());
      });
  take_nqn(*space);
  take_settings(*space);
  CLI::App* const host = command(parent, "host", "Allow a host to connect to a subsystem", [this] {
    return change("PUT", path_of_subsystem() + "/hosts/" + percent_encoded(hostnqn_));
  });
  take_nqn(*host);
  host->add_option("host", hostnqn_, "NQN of the host")->type_name(kHostType)->required();
}

void Commands::add_removes(CLI::App& parent) {
  CLI::App* const port = command(parent, "port", "Remove a port; its hosts are disconnected",
                                 [this] { return change("DELETE", "/v1/ports/" + std::to_string(port_)); });
  decimal(port->add_option("id", port_, "Id of the port")->type_name(kPortType)->required(), config::kMostPortId);
  take_nqn(*command(parent, "subsystem", "Remove a subsystem; its hosts are disconnected",
                    [this] { return change("DELETE", path_of_subsystem()); }));
  CLI::App* const space = command(parent, "namespace", "Remove a namespace from a subsystem",
                                  [this] { return change("DELETE", path_of_namespace()); });
  take_nqn(*space);
  take_nsid(*space);
  CLI::App* const host =
      command(parent, "host", "Remove a host from those that may connect; it is disconnected",
              [this] { return change("DELETE", path_of_subsystem() + "/hosts/" + percent_encoded(hostnqn_)); });
  take_nqn(*host);
  host->add_option("host", hostnqn_, "NQN of the host")->type_name(kHostType)->required();
}

void Commands::add_sets(CLI::App& parent) {
  take_settings(*command(parent, "config", "Change top-level keys of the config: shutdown_timeout_ms=10000", [this] {
    return change("PATCH", "/v1/config", settings("set config shutdown_timeout_ms=10000").dump());
  }));
  CLI::App* const port = command(parent, "port", "Change keys of a port", [this] {
    return change("PATCH", "/v1/ports/" + std::to_string(port_), settings("set port 1 dscp=26").dump());
  });
  decimal(port->add_option("id", port_, "Id of the port")->type_name(kPortType)->required(), config::kMostPortId);
  take_settings(*port);
  CLI::App* const subsystem = command(parent, "subsystem", "Change keys of a subsystem: NQN max_controllers=8", [this] {
    return change("PATCH", path_of_subsystem(), settings("set subsystem NQN max_controllers=8").dump());
  });
  take_nqn(*subsystem);
  take_settings(*subsystem);
  CLI::App* const space = command(parent, "namespace", "Change keys of a namespace: NQN NSID max_iops=10000", [this] {
    return change("PATCH", path_of_namespace(), settings("set namespace NQN NSID max_iops=10000").dump());
  });
  take_nqn(*space);
  take_nsid(*space);
  take_settings(*space);
}

void Commands::take_ports(CLI::App& command) {
  CLI::Option* const port =
      decimal(command.add_option("port", port_, "Id of the port")->type_name(kPortType), config::kMostPortId);
  command.add_flag("--all", all_, "All ports")->excludes(port);
}

void Commands::add_operations(CLI::App& app) {
  CLI::App* const drain =
      command(app, "drain",
              "Disconnect the hosts of a port, or of all ports, and let none connect until `resume`; a restart of the "
              "daemon ends the drain, too. Hosts that use ANA are first notified, so that they use other ports",
              [this] {
                const auto done = [](const Json& /*port*/) -> std::string {
                  return "draining: hosts are being disconnected, and none may connect";
                };
                const int status = operate_ports("/v1/drain", done,
                                                 {.one = "is drained already", .all = "every port is drained already"});
                return status == 0 && wait_ ? wait_until_drained() : status;
              });
  take_ports(*drain);
  drain->add_flag("--wait", wait_, "Return when the last host is disconnected, and its last command has ended");
  take_ports(*command(app, "resume", "Let hosts connect again after `drain`", [this] {
    const auto done = [this](const Json& port) { return resumed(port); };
    return operate_ports("/v1/resume", done, {.one = "was not drained", .all = "no port was drained"});
  }));
  command(app, "disconnect", "Disconnect a host; it may connect again unless it is removed with `remove host`",
          [this] { return operate("/v1/hosts/" + percent_encoded(hostnqn_) + "/disconnect", "disconnected"); })
      ->add_option("host", hostnqn_, "NQN of the host; an empty one: of all hosts that send none")
      ->type_name(kHostType)
      ->required();
}

void Commands::add_upgrade(CLI::App& app) {
  CLI::App* const upgrade =
      command(app, "upgrade",
              "Have the running daemon replaced by the program that is installed in its place by now: that program "
              "checks config and state while hosts are served, then takes over. Hosts move to other paths, or "
              "reconnect; where the other program cannot serve, the daemon goes on",
              [this] { return run_upgrade(Client(file_.empty() ? socket_ : socket_of(file_)), force_); });
  upgrade->remove_option(upgrade->get_option("--json"));
  file_name(upgrade->add_option("-c,--config", file_, "The config file that names the daemon's admin socket"))
      ->type_name("FILE")
      ->excludes(upgrade->get_option("--socket"));
  upgrade->add_flag("--force", force_,
                    "Also when data of namespaces in memory, or reservations that do not persist, are lost");
}

void Commands::add_ana(CLI::App& app) {
  CLI::App* const ana = command(app, "ana", "List the ANA states, or set one until the next reload or restart", [this] {
    if (nqn_.empty()) return show("/v1/ana", ana_view);
    return set_ana();
  });
  CLI::Option* const nqn = ana->add_option("subsystem", nqn_, "NQN of the subsystem")->type_name(kNqnType);
  CLI::Option* const group = decimal(ana->add_option("group", group_, "ANA group, 1 to 128"), config::kMostAnaGroups);
  CLI::Option* const port =
      decimal(ana->add_option("port", port_, "Id of the port")->type_name(kPortType), config::kMostPortId);
  CLI::Option* const state =
      ana->add_option("state", state_, "optimized, non-optimized, inaccessible, persistent-loss or change")
          ->type_name("STATE");
  nqn->needs(group)->needs(port)->needs(state);
}

int Commands::set_ana() const {
  require_utf8("the NQN", nqn_);
  require_utf8("the state", state_);
  const Json wanted = {{"subsystem", nqn_}, {"group", group_}, {"port", port_}, {"state", state_}};
  const std::string done = "ANA group " + std::to_string(group_) + " of " + config::printable(nqn_) + " is " + state_ +
                           " on port " + std::to_string(port_) + " until the next reload or restart";
  return operate("/v1/ana", done, wanted.dump());
}

void Commands::add_namespace_states(CLI::App& app) {
  const auto add = [&](const char* name, const std::string& what, View view) {
    CLI::App* const shown =
        command(app, name, what, [this, name, view] { return show_named(std::string("/v1/") + name, view); });
    CLI::Option* const nqn = shown->add_option("subsystem", nqn_, "Only of this subsystem")->type_name(kNqnType);
    decimal(shown->add_option("nsid", nsid_, "Only of this namespace")->type_name(kNsidType)->needs(nqn),
            config::kMostNamespaces);
    return shown;
  };
  const auto add_clear = [&](CLI::App& parent, const std::string& what, std::function<int()> run) {
    CLI::App* const clear = command(parent, "clear", what, std::move(run));
    take_nqn(*clear);
    take_nsid(*clear);
    return clear;
  };
  CLI::App* const reservations =
      add("reservations", "List the reservations of hosts on namespaces, and the hosts that are registered",
          reservations_view);
  add_clear(*reservations, "End the reservation on a namespace and all registrations; the hosts are notified",
            [this] { return change("DELETE", path_of_namespace() + "/reservation" + (force_ ? "?force=true" : "")); })
      ->add_flag("--force", force_,
                 "Required, because hosts that rely on the reservation may damage their data without it");
  CLI::App* const protection =
      add("write-protection", "List the namespaces to which hosts cannot write, and why", write_protection_view);
  add_clear(*protection, "End the write protection that a host has given to a namespace",
            [this] { return change("DELETE", path_of_namespace() + "/write-protection"); });
}

void Commands::add_events(CLI::App& app) {
  CLI::App* const events =
      command(app, "events", "Print events as they happen: hosts that come and go, reloads, ports, devices, fallbacks",
              [this] { return follow_events(); });
  events->add_flag("--past", past_, "First print the events that the daemon remembers, 1,024 at most");
}

// Until the daemon ends the stream.
int Commands::follow_events() const {
  constexpr std::string_view kData = "data: ";
  const auto take = [&](const std::string& line) {
    if (!line.starts_with(kData)) return true;
    const Json event = Json::parse(line.substr(kData.size()), nullptr, false);
    if (!event.is_object()) return true;
    std::cout << (json_ ? event.dump(-1, ' ', true) + "\n" : event_view(printable(event), terminal_columns()));
    return static_cast<bool>(std::cout.flush());
  };
  const Reply reply = Client(socket_).follow(past_ ? "/v1/events?past=true" : "/v1/events", take);
  if (!reply.good()) return refuse(reply);
  if (reply.status != 0) std::cerr << "the daemon has ended the stream of events\n";
  return kExitFailed;
}

int Commands::show_named(const std::string& path, View view) const {
  Reply reply = Client(socket_).ask("GET", path);
  if (!reply.good()) return refuse(reply);
  Json named = Json::array();
  for (const Json& one : reply.body)
    if ((nqn_.empty() || one.at("subsystem") == nqn_) && (nsid_ == 0 || one.at("nsid") == nsid_)) named.push_back(one);
  if (named.empty() && !nqn_.empty() && !is_known()) return kExitFailed;
  reply.body = std::move(named);
  return print(reply, view);
}

// Whether there is the subsystem, or namespace, that was named: nothing is listed of one that a slip of the keyboard
// names.
bool Commands::is_known() const {
  const Reply reply = Client(socket_).ask("GET", nsid_ == 0 ? "/v1/subsystems" : "/v1/namespaces");
  if (!reply.good()) {
    refuse(reply);
    return false;
  }
  const auto is_named = [this](const Json& one) {
    return nsid_ == 0 ? one.at("nqn") == nqn_ : one.at("subsystem") == nqn_ && one.at("nsid") == nsid_;
  };
  if (std::ranges::any_of(reply.body, is_named)) return true;
  std::cerr << "there is no " << (nsid_ == 0 ? "subsystem " : "namespace " + std::to_string(nsid_) + " of ")
            << config::printable(nqn_) << '\n';
  return false;
}

int Commands::show(const std::string& path, View view) const {
  const Reply reply = Client(socket_).ask("GET", path);
  return reply.good() ? print(reply, view) : refuse(reply);
}

int Commands::show_status() const {
  const Reply reply = Client(socket_).ask("GET", "/v1/status");
  if (!reply.good()) return refuse(reply);
  const bool is_well = reply.body.at("faults").empty() && reply.body.at("unready").empty();
  print(reply, status_view);
  return exit_code_ && !is_well ? kExitFound : EXIT_SUCCESS;
}

int Commands::show_p2p() const {
  const bool all = ssd_.empty() || ssd_ == kAllSsds;
  const std::string which = all ? "all=true" : "ssd=" + percent_encoded(ssd_);
  Reply reply = prove_ ? Client(socket_).ask("POST", "/v1/p2p/prove?" + which) : Client(socket_).ask("GET", "/v1/p2p");
  if (!reply.good()) return refuse(reply);
  if (all) return print(reply, p2p_view);
  Json named = Json::array();
  for (const Json& one : reply.body.at("ssds"))
    if (one.at("address") == ssd_) named.push_back(one);
  if (named.empty()) {
    std::cerr << "no namespace is configured to use the CMB of an SSD at " << config::printable(ssd_) << '\n';
    return kExitFailed;
  }
  reply.body["ssds"] = std::move(named);
  return print(reply, p2p_view);
}

int Commands::compare() const {
  const ConfigRequest request = request_with_config();
  const Reply reply = Client(socket_).ask("POST", "/v1/diff" + request.query, request.body);
  if (!reply.good()) return refuse(reply);
  print(reply, change_view);
  return exit_code_ && !reply.body.at("changes").empty() ? kExitFound : EXIT_SUCCESS;
}

Commands::ConfigRequest Commands::request_with_config() const {
  config::Sources sources = sources_at(file_);
  const std::string query = "?name=" + percent_encoded(file_);
  if (sources.drop_ins.empty()) return {query, std::move(sources.file.text)};
  return {query + "&drop_ins=true", body_of(sources)};
}

int Commands::save() const {
  const Reply reply = Client(socket_).ask("POST", force_ ? "/v1/save?force=true" : "/v1/save");
  return reply.good() ? print(reply, saved_view) : refuse(reply);
}

int Commands::change(const std::string& method, const std::string& path, const std::string& body) const {
  const Reply reply = Client(socket_).ask(method, path, body);
  return reply.good() ? print(reply, change_view) : refuse(reply);
}

int Commands::operate(const std::string& path, const std::string& done, const std::string& body) const {
  const Reply reply = Client(socket_).ask("POST", path, body);
  if (!reply.good()) return refuse(reply);
  if (json_)
    std::cout << text_of(reply.body.is_null() ? Json::object() : reply.body);
  else
    std::cout << done << '\n';
  return EXIT_SUCCESS;
}

int Commands::operate_ports(const std::string& path, const std::function<std::string(const Json& port)>& done,
                            const Unchanged& unchanged) const {
  if (!all_ && port_ == 0) throw std::invalid_argument("name a port by its id, or say --all for all ports");
  const std::string which = all_ ? "all=true" : "port=" + std::to_string(port_);
  const Reply reply = Client(socket_).ask("POST", path + '?' + which);
  if (!reply.good()) return refuse(reply);
  if (json_) return print(reply, nullptr);
  for (const Json& port : reply.body.at("ports")) std::cout << "port " << port << ": " << done(port) << '\n';
  if (reply.body.at("ports").empty())
    std::cout << (all_ ? unchanged.all : "port " + std::to_string(port_) + ' ' + unchanged.one)
              << "; nothing has changed\n";
  return EXIT_SUCCESS;
}

// What has become of a port that was resumed: hosts cannot connect while it waits.
std::string Commands::resumed(const Json& port) const {
  const Reply reply = Client(socket_).ask("GET", "/v1/status");
  if (reply.good())
    for (const Json& one : reply.body.at("ports"))
      if (one.at("id") == port) return after_resume(one);
  return "resumed; see nvmf-p2p status";
}

// Until the named port, or each that drains, has no host left.
int Commands::wait_until_drained() const {
  const auto is_draining = [this](const Json& port) {
    return (port_ == 0 || port.at("id") == port_) && port.at("state") == "draining";
  };
  for (;;) {
    const Reply reply = Client(socket_).ask("GET", "/v1/status");
    if (!reply.good()) return refuse(reply);
    if (std::ranges::none_of(reply.body.at("ports"), is_draining)) return EXIT_SUCCESS;
    std::this_thread::sleep_for(kStatusPoll);
  }
}

int Commands::print(const Reply& reply, View view) const {
  std::cout << (json_ ? text_of(reply.body) : view(printable(reply.body), terminal_columns()));
  return EXIT_SUCCESS;
}

int Commands::refuse(const Reply& reply) const {
  if (json_) std::cout << text_of(reply.body);
  const Json shown = printable(reply.body);
  if (shown.contains("reasons")) std::cerr << change_view(shown, 0);
  std::cerr << shown.value("error", "the daemon answered with HTTP status " + std::to_string(reply.status) +
                                        " and no reason; its log may have one")
            << '\n';
  return is_mistake(reply.status) ? kExitUsage : kExitFailed;
}

Json Commands::settings(const std::string& example) const {
  if (settings_.empty())
    throw std::invalid_argument("give at least one key of the config file as KEY=VALUE: nvmf-p2p " + example);
  return object_from(settings_);
}

std::string Commands::path_of_subsystem() const { return "/v1/subsystems/" + percent_encoded(nqn_); }

std::string Commands::path_of_namespace() const { return path_of_subsystem() + "/namespaces/" + std::to_string(nsid_); }

}  // namespace nvmf::cli
