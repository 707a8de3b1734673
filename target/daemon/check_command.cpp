#include "target/daemon/check_command.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "config/parse.h"
#include "config/printable.h"
#include "config/wording.h"
#include "target/daemon/cli/arguments.h"
#include "target/daemon/machine_check.h"
#include "target/daemon/resource_check.h"
#include "target/daemon/save_journal.h"
#include "target/daemon/start_check.h"

namespace nvmf::daemon {
namespace {

constexpr int kUnusable = 2;

struct Options {
  std::string path;
  bool json = false;
  bool strict = false;
  bool file_only = false;
  bool start = false;
};

void add(const std::vector<config::Diagnostic>& more, config::Result& result) {
  result.diagnostics.insert(result.diagnostics.end(), more.begin(), more.end());
}

// `run` ends where it cannot make its sockets for those who are to use them.
bool prevents_start(const config::Diagnostic& one) {
  constexpr std::array<std::string_view, 5> kPaths = {"$.admin.owner", "$.admin.group", "$.admin.read_only_group",
                                                      "$.admin.socket", "$.admin.read_only_socket"};
  return std::ranges::find(kPaths, one.path) != kPaths.end();
}

void add_machine_warnings(config::Result& result) {
  const p2p::Sysfs sysfs;
  const auto addresses = read_interface_addresses();
  std::vector<config::Diagnostic> machine = check_machine(*result.config, sysfs, addresses);
  for (config::Diagnostic& one : machine)
    if (prevents_start(one)) one.severity = config::Severity::error;
  add(machine, result);
  add(check_resources(*result.config, sysfs, addresses, read_rdma_device_limits()), result);
  std::ranges::stable_sort(result.diagnostics, {}, &config::Diagnostic::position);
}

config::Diagnostic interrupted_save(const std::string& file) {
  return {config::Severity::warning,
          file,
          {},
          "$",
          "a save of the running config was interrupted before it had replaced all files",
          "the next start, reload or save of the daemon gives the files what they had before"};
}

void print_summary(const std::string& path, const config::Config& config) {
  size_t namespaces = 0;
  for (const auto& subsystem : config.subsystems) namespaces += subsystem.namespaces.size();
  std::cout << config::printable(path) << config::and_drop_ins(config.drop_ins.size())
            << ": good: " << config::count_of(config.ports.size(), "port") << ", "
            << config::count_of(config.subsystems.size(), "subsystem") << ", "
            << config::count_of(namespaces, "namespace") << '\n';
}

// A drop-in by itself is no config: ports, and what must be unique, are in the other files.
void point_to_config_file(const std::string& path) {
  const std::string directory = config::directory_with_drop_in(path);
  if (directory.empty()) return;
  std::cerr << config::printable(path) << ": this is a drop-in: check the config file in "
            << config::printable(directory) << " that it belongs to, which reads the drop-in, too\n";
}

int check(const Options& options) {
  config::Result result = config::load_input(options.path);
  if (is_save_interrupted(options.path)) add({interrupted_save(options.path)}, result);
  if (result.config && !options.file_only) add_machine_warnings(result);
  if (result.config && options.start) add(check_start(*result.config), result);
  const bool has_error = std::ranges::any_of(
      result.diagnostics, [](const config::Diagnostic& one) { return one.severity == config::Severity::error; });
  const bool good = result.config && !has_error && (!options.strict || result.diagnostics.empty());
  if (options.json) {
    std::cout << config::to_json(result.diagnostics);
  } else {
    for (const config::Diagnostic& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
    if (good) print_summary(options.path, *result.config);
    if (!result.config) point_to_config_file(options.path);
  }
  return good ? 0 : kUnusable;
}

}  // namespace

void add_check_command(CLI::App& app, std::function<int()>& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "check", "Report the mistakes of a config file, and what cannot work on this machine; starts nothing");
  cli::file_name(command->add_option("file", options->path,
                                     "The JSON config file, whose drop-ins are checked with it; - is standard input"))
      ->required();
  command->add_flag("--json", options->json, "Print a JSON array of objects with file, line, column, path, ...");
  command->add_flag("--strict", options->strict, "Exit with status 2 for warnings, too");
  command->add_flag("--file-only", options->file_only,
                    "Do not look at this machine: the config is for another machine");
  command->add_flag("--start", options->start,
                    "Also try what a start of the daemon needs beside the config, while another daemon may run: files "
                    "of the state directory that this version can use, io_uring. `upgrade` asks the new version so");
  command->callback([=, &chosen] { chosen = [=] { return check(*options); }; });
}

}  // namespace nvmf::daemon
