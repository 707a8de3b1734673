#include "target/daemon/upgrade.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <variant>

#include "config/diagnostics.h"
#include "config/sources.h"
#include "target/daemon/child_process.h"
#include "target/daemon/namespace_states.h"

namespace nvmf::daemon {
namespace {

using core::EventKind;
using nlohmann::json;

constexpr std::chrono::seconds kTimeout{60};  // for each answer of the other program
constexpr std::chrono::seconds kPatience{2 * kTimeout + std::chrono::seconds(10)};

// What the thread that asks the other program has.
struct Asked {
  std::string program;
  std::string config_file;
  UpgradePlan answers;
  config::Sources files;
};

std::string one_line(const std::string& text) {
  const auto first = text.find_first_not_of(" \n");
  if (first == std::string::npos) return {};
  std::string line = text.substr(first, text.find_last_not_of(" \n") - first + 1);
  std::ranges::replace(line, '\n', ' ');
  return line;
}

std::string complaint_of(const std::string& command, const ChildEnd& end) {
  return fmt::format("{} ended with exit status {}: {}", command, end.exit_status, one_line(end.errors));
}

// Of the array that `check --json` prints, the errors.
std::vector<std::string> errors_in(const json& diagnostics) {
  std::vector<std::string> errors;
  for (const json& one : diagnostics) {
    if (one.at("severity") != "error") continue;
    const auto line = one.at("line").get<unsigned>();
    const auto remedy = one.at("remedy").get<std::string>();
    errors.push_back(one.at("file").get<std::string>() + (line == 0 ? "" : ":" + std::to_string(line)) + ": " +
                     one.at("path").get<std::string>() + ": " + one.at("problem").get<std::string>() +
                     (remedy.empty() ? "" : "; " + remedy));
  }
  return errors;
}

void ask_version(const std::string& program, UpgradePlan& plan) {
  const ChildEnd end = run_program({program, "--version"}, kTimeout);
  if (end.exit_status == 0)
    plan.version = one_line(end.output);
  else
    plan.obstacles.push_back(complaint_of(program + " --version", end));
}

void ask_check(const std::string& program, const std::string& config_file, UpgradePlan& plan) {
  const ChildEnd end = run_program({program, "check", "--start", "--json", config_file}, kTimeout);
  const json diagnostics = json::parse(end.output, nullptr, false);
  if (diagnostics.is_array()) plan.obstacles = errors_in(diagnostics);
  const std::string command = program + " check --start --json " + config_file;
  if (!diagnostics.is_array() && end.exit_status == 0)
    plan.obstacles.push_back(command + " has printed no list of faults: is that program nvmf-p2p?");
  else if (end.exit_status != 0 && plan.obstacles.empty())
    plan.obstacles.push_back(complaint_of(command, end));
}

std::string place_in(const json& one) {
  return fmt::format("namespace {} of {}", one.at("nsid").get<uint32_t>(), one.at("subsystem").get<std::string>());
}

// What does not outlive this program, a sentence each.
std::vector<std::string> losses(const config::Config& config, const core::Target& target) {
  std::vector<std::string> lost;
  for (const config::Subsystem& subsystem : config.subsystems)
    for (const config::Namespace& space : subsystem.namespaces)
      if (std::holds_alternative<config::MemoryBackend>(space.backend))
        lost.push_back(fmt::format("namespace {} of {} is in memory: its data is lost", space.nsid, subsystem.nqn));
  for (const json& one : reservations_view(target))
    if (!one.at("persists").get<bool>())
      lost.push_back(place_in(one) +
                     ": its reservation and registrations end, because the hosts did not ask for persistence through "
                     "power loss");
  for (const json& one : write_protection_view(target))
    if (one.at("state") == kUntilPowerCycle)
      lost.push_back(place_in(one) + ": its write protection, which a host has set until the next power cycle, ends");
  return lost;
}

}  // namespace

void ask_program(const std::string& program, const std::string& config_file, UpgradePlan& plan) {
  try {
    ask_version(program, plan);
    if (plan.obstacles.empty()) ask_check(program, config_file, plan);
  } catch (const json::exception&) {
    plan.obstacles.push_back(program + " check --start --json has printed what this version does not understand");
  } catch (const std::exception& error) {
    plan.obstacles.emplace_back(error.what());
  }
}

boost::asio::awaitable<UpgradePlan> Upgrade::prepare(bool force) {
  UpgradePlan plan;
  look_at_this_daemon(force, plan);
  const auto asked = std::make_shared<Asked>();
  asked->program = parts_.program.path();
  asked->config_file = parts_.running.file();
  if (plan.obstacles.empty()) {
    std::function<void()> ask = [asked] {
      ask_program(asked->program, asked->config_file, asked->answers);
      config::read_sources(asked->config_file, asked->files);
    };
    const bool has_answered = co_await work_.run(std::move(ask), kPatience);
    if (has_answered)
      plan = asked->answers;
    else
      plan.obstacles.push_back("the config file cannot be read: the file system does not answer");
    if (plan.obstacles.empty()) look_at_this_daemon(force, plan);  // again, for changes were made meanwhile
  }
  if (plan.obstacles.empty() && parts_.changes.closed()) plan.obstacles.emplace_back(kShutsDown);
  if (plan.obstacles.empty()) {
    const ConfigChange edits = parts_.running.compare(asked->files);
    for (const std::string& change : edits.changes) plan.notes.push_back("takes effect with the upgrade: " + change);
    for (const std::string& reason : edits.reasons) plan.notes.push_back("takes effect with the upgrade: " + reason);
    parts_.program.set_upgrade_failure({});
  }
  report(plan);
  co_return plan;
}

void Upgrade::look_at_this_daemon(bool force, UpgradePlan& plan) const {
  const std::vector<std::string>& unsaved = parts_.running.unsaved();
  if (!unsaved.empty())
    plan.obstacles.push_back(fmt::format(
        "these changes of the config are not saved and would be lost: {}: save them (nvmf-p2p save), or undo "
        "them (nvmf-p2p reload)",
        fmt::join(unsaved, ", ")));
  for (const auto& [name, file] : parts_.storage.displaced_files())
    plan.obstacles.push_back(
        fmt::format("the file of namespace {} of {}, {}, was removed or replaced: the data of the former one, which "
                    "hosts still use, would be lost; have a host copy it to another namespace, and remove this one",
                    name.second, name.first, file));
  for (const std::string& removed : parts_.storage.awaited()) plan.obstacles.push_back(removed);
  for (const std::string& loss : losses(parts_.running.config(), parts_.target)) {
    if (force)
      plan.notes.push_back(loss);
    else
      plan.obstacles.push_back(loss + "; --force upgrades all the same");
  }
  for (const core::Port& port : parts_.target.ports())
    if (std::string_view(parts_.ports.state_of(port)).starts_with("drain"))
      plan.notes.push_back(fmt::format("port {} is drained now; hosts may connect to it afterwards", port.id));
}

void Upgrade::report(const UpgradePlan& plan) {
  const std::string& path = parts_.program.path();
  for (const std::string& obstacle : plan.obstacles)
    parts_.events.error(EventKind::Config, fmt::format("upgrade to {} refused: {}", path, obstacle));
  if (!plan.obstacles.empty()) return;
  for (const std::string& note : plan.notes) parts_.events.warn(EventKind::Config, fmt::format("upgrade: {}", note));
  parts_.events.tell(EventKind::Config, fmt::format("upgrade: version {} ({}) can take over", plan.version, path));
}

}  // namespace nvmf::daemon
