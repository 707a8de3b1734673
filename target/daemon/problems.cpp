#include "target/daemon/problems.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "config/wording.h"

namespace nvmf::daemon {
namespace {

using Problems = std::vector<Problem>;

void add_ports(const HealthFigures& health, Problems& problems) {
  for (const PortFigures& port : health.ports) {
    if (port.state == kPortStates.front()) continue;
    const bool waits = port.state == "waiting";
    problems.push_back(
        {.weight = waits ? Problem::Weight::Fault : Problem::Weight::Note,
         .what = fmt::format("Port {} ({}) is {}{}", port.id, port.address, port.state,
                             port.reason.empty() ? "." : ": " + port.reason),
         .remedy = waits ? "Give the address to a network interface with an RNIC, or correct the address of the "
                           "port in the config. The port listens as soon as both are there."
                         : fmt::format("nvmf-p2p resume {} lets hosts connect again.", port.id)});
  }
  if (health.ports.empty())
    problems.push_back({.what = "The config has no ports, so no host can connect.",
                        .remedy = "Add a port: nvmf-p2p add port id=1 address=ADDRESS, then nvmf-p2p save."});
}

void add_missing(const MissingNamespaces& missing, Problems& problems) {
  for (const auto& [name, why] : missing)
    problems.push_back(
        {.what =
             fmt::format("Namespace {} of {} is not served{}", name.second, name.first, why.empty() ? "." : ": " + why),
         .remedy = "Connect the device or correct the config. The namespace is served as soon as its device is there; "
                   "nvmf-p2p namespaces shows its state."});
}

void add_displaced(const Conditions& conditions, Problems& problems) {
  for (const auto& [name, file] : conditions.displaced_files)
    problems.push_back(
        {.what = fmt::format("The file of namespace {} of {}, {}, was removed or replaced. Hosts still use the former "
                             "one, which is lost when the daemon closes it.",
                             name.second, name.first, file),
         .remedy =
             "Copy its data by a host to another namespace, before the daemon ends or the namespace is removed."});
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

void add_cmbs(const std::vector<CmbCondition>& cmbs, Problems& problems) {
  for (const CmbCondition& cmb : cmbs) {
    if (!cmb.failure.empty())
      problems.push_back({.weight = Problem::Weight::Note,
                          .what = fmt::format("The CMB of {} is not used: {}", cmb.ssd, cmb.failure),
                          .remedy = "nvmf-p2p doctor names what to change. Until then the data goes through DRAM."});
    for (const CmbCondition::Pair& pair : cmb.pairs) {
      if (pair.is_proved) continue;
      const std::string why = joined(pair.findings);
      const std::string remedy = joined(pair.remedies);
      problems.push_back({.weight = Problem::Weight::Note,
                          .what = fmt::format("Data between {} and {} goes through DRAM: {}", cmb.ssd, pair.rdma_device,
                                              why.empty() ? "no transfer was proved" : why),
                          .remedy = remedy.empty() ? "nvmf-p2p doctor --self-test says more." : remedy});
    }
  }
}

void add_config(const HealthFigures& health, Problems& problems) {
  if (health.reload_succeeded == false)
    problems.push_back(
        {.what = "The last reload was refused: what runs is not what the config file says.",
         .remedy = "nvmf-p2p check FILE reports the mistakes of the config file; then nvmf-p2p reload."});
  if (health.unsaved_changes != 0)
    problems.push_back({.weight = Problem::Weight::Note,
                        .what = fmt::format("{} of the running config {} not in the config file.",
                                            config::count_of(health.unsaved_changes, "change"),
                                            health.unsaved_changes == 1 ? "is" : "are"),
                        .remedy = "nvmf-p2p status lists them; nvmf-p2p save writes them to the file."});
  if (health.unreadable_keys != 0)
    problems.push_back(
        {.what = fmt::format("{} of hosts cannot be read: the hosts cannot authenticate with them, now or after a "
                             "restart.",
                             config::count_of(health.unreadable_keys, "key file")),
         .remedy = "nvmf-p2p status names the files and what to do; then nvmf-p2p reload."});
}

void add_metrics(const HealthFigures& health, Problems& problems) {
  if (health.metrics_fault.empty()) return;
  problems.push_back({.what = "The metrics address cannot be listened on: " + health.metrics_fault,
                      .remedy = "Give the address to a network interface, or free its port, or change \"metrics\" in "
                                "the config. The daemon tries again every second."});
}

void add_state(const HealthFigures& health, Problems& problems) {
  const std::string remedy =
      "Check that the directory of \"state_dir\" has free space and belongs to the user of the daemon, which tries "
      "again every 5 s.";
  if (!health.state_dir_fault.empty())
    problems.push_back({.what = "The state directory cannot be written, so that reservations and write protection that "
                                "must be saved are refused: " +
                                health.state_dir_fault,
                        .remedy = remedy});
  if (health.unsaved_identifiers != 0)
    problems.push_back(
        {.what = fmt::format("The identifiers of {} are not saved: after a restart hosts may know them by others.",
                             config::count_of(health.unsaved_identifiers, "namespace")),
         .remedy = remedy + " nvmf-p2p status names them."});
}

}  // namespace

Problems problems_in(const Conditions& conditions) {
  Problems problems;
  add_ports(conditions.health, problems);
  add_missing(conditions.missing, problems);
  add_displaced(conditions, problems);
  add_config(conditions.health, problems);
  add_metrics(conditions.health, problems);
  add_state(conditions.health, problems);
  add_cmbs(conditions.cmbs, problems);
  std::ranges::stable_sort(problems, {}, &Problem::weight);
  return problems;
}

}  // namespace nvmf::daemon
