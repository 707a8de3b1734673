#include "target/daemon/check_command.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <tuple>

#include "config/parse.h"
#include "target/daemon/machine_check.h"
#include "target/daemon/resource_check.h"

namespace nvmf::daemon {
namespace {

constexpr int kUnusable = 2;

struct Options {
  std::string path;
  bool json = false;
  bool strict = false;
  bool file_only = false;
};

void add_machine_warnings(config::Result& result) {
  const p2p::Sysfs sysfs;
  const auto addresses = read_interface_addresses();
  for (const auto& warnings : {check_machine(*result.config, sysfs, addresses),
                               check_resources(*result.config, sysfs, addresses, read_rdma_device_limits())})
    result.diagnostics.insert(result.diagnostics.end(), warnings.begin(), warnings.end());
  std::ranges::stable_sort(result.diagnostics, [](const config::Diagnostic& a, const config::Diagnostic& b) {
    return std::tie(a.position.line, a.position.column) < std::tie(b.position.line, b.position.column);
  });
}

void print_summary(const std::string& path, const config::Config& config) {
  size_t namespaces = 0;
  for (const auto& subsystem : config.subsystems) namespaces += subsystem.namespaces.size();
  std::cout << path << ": good: " << config.ports.size() << " ports, " << config.subsystems.size() << " subsystems, "
            << namespaces << " namespaces\n";
}

int check(const Options& options) {
  config::Result result = config::load_input(options.path);
  if (result.config && !options.file_only) add_machine_warnings(result);
  const bool has_error = std::ranges::any_of(
      result.diagnostics, [](const config::Diagnostic& one) { return one.severity == config::Severity::error; });
  const bool good = result.config && !has_error && (!options.strict || result.diagnostics.empty());
  if (options.json) {
    std::cout << config::to_json(result.diagnostics);
  } else {
    for (const config::Diagnostic& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
    if (good) print_summary(options.path, *result.config);
  }
  return good ? 0 : kUnusable;
}

}  // namespace

void add_check_command(CLI::App& app, std::function<int()>& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "check", "Report the mistakes of a config file, and what cannot work on this machine; starts nothing");
  command->add_option("file", options->path, "The JSON config file; - is standard input")->required();
  command->add_flag("--json", options->json, "Print a JSON array of objects with file, line, column, path, ...");
  command->add_flag("--strict", options->strict, "Exit with status 2 for warnings, too");
  command->add_flag("--file-only", options->file_only,
                    "Do not look at this machine: the config is for another machine");
  command->callback([=, &chosen] { chosen = [=] { return check(*options); }; });
}

}  // namespace nvmf::daemon
