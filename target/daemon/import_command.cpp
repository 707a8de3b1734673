#include "target/daemon/import_command.h"

#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>

#include "config/import.h"
#include "config/printable.h"
#include "config/write.h"

namespace nvmf::daemon {
namespace {

constexpr int kNothingImported = 2;

constexpr int kLeftOut = 3;

std::string count_of(size_t count, const char* noun) {
  return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
}

std::string summary_of(const config::Config& config, size_t left_out) {
  size_t namespaces = 0;
  for (const auto& subsystem : config.subsystems) namespaces += subsystem.namespaces.size();
  return "imported " + count_of(config.ports.size(), "port") + ", " + count_of(config.subsystems.size(), "subsystem") +
         " and " + count_of(namespaces, "namespace") + "; " +
         (left_out == 0 ? "nothing was" : count_of(left_out, "thing") + (left_out == 1 ? " was" : " were")) +
         " left out";
}

int print(const std::string& source, const config::ImportResult& result, bool strict) {
  for (const auto& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  if (!result.config) return kNothingImported;
  const bool refused = strict && result.left_out != 0;
  std::cerr << config::printable(source) << ": " << summary_of(*result.config, result.left_out)
            << (refused ? ", so with --strict nothing is printed" : "") << '\n';
  if (refused) return kNothingImported;
  std::cout << config::write(*result.config);
  return result.left_out == 0 ? 0 : kLeftOut;
}

using Import = config::ImportResult (*)(std::string_view text, const std::string& file_name);

int import_file(Import import, const std::string& path, bool strict) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    std::cerr << path << ": error: cannot be read: " << std::generic_category().message(errno) << '\n';
    return kNothingImported;
  }
  return print(path, import(text, path), strict);
}

std::shared_ptr<bool> add_strict(CLI::App& command) {
  auto strict = std::make_shared<bool>(false);
  command.add_flag("--strict", *strict, "Print nothing and exit with status 2 when something would be left out");
  return strict;
}

void add_file_command(CLI::App& group, const char* name, const char* description, Import import,
                      std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand(name, description);
  command->add_option("file", *path, "The saved JSON file")->required();
  const auto strict = add_strict(*command);
  command->callback([=, &chosen] { chosen = [=] { return import_file(import, *path, *strict); }; });
}

}  // namespace

void add_import_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* group = app.add_subcommand(
      "import",
      "Print the config of another target as a config of nvmf-p2p; standard error lists what cannot be carried over, "
      "and the exit status is then 3");
  group->require_subcommand(1);
  add_file_command(*group, "nvmetcli", "Import the kernel's target from a file that nvmetcli saved",
                   config::import_nvmetcli, chosen);
  add_file_command(*group, "spdk", "Import SPDK's target from the output of its save_config", config::import_spdk,
                   chosen);

  auto root = std::make_shared<std::string>("/sys/kernel/config/nvmet");
  CLI::App* kernel = group->add_subcommand("kernel", "Import the kernel's target that runs on this machine");
  kernel->add_option("--configfs", *root, "Directory of the target's configfs")->capture_default_str();
  const auto strict = add_strict(*kernel);
  kernel->callback([=, &chosen] { chosen = [=] { return print(*root, config::import_kernel(*root), *strict); }; });
}

}  // namespace nvmf::daemon
