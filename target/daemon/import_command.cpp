#include "target/daemon/import_command.h"

#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>

#include "config/import.h"
#include "config/write.h"

namespace nvmf::daemon {
namespace {

constexpr int kNothingImported = 2;

int print(const config::Result& result) {
  for (const auto& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  if (!result.config) return kNothingImported;
  std::cout << config::write(*result.config);
  return 0;
}

using Import = config::Result (*)(std::string_view text, const std::string& file_name);

int import_file(Import import, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    std::cerr << path << ": error: cannot be read: " << std::generic_category().message(errno) << '\n';
    return kNothingImported;
  }
  return print(import(text, path));
}

void add_file_command(CLI::App& group, const char* name, const char* description, Import import,
                      std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand(name, description);
  command->add_option("file", *path, "The saved JSON file")->required();
  command->callback([=, &chosen] { chosen = [=] { return import_file(import, *path); }; });
}

}  // namespace

void add_import_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* group = app.add_subcommand(
      "import",
      "Print the config of another target as a config of nvmf-p2p; standard error lists what cannot be carried over");
  group->require_subcommand(1);
  add_file_command(*group, "nvmetcli", "Import the kernel's target from a file that nvmetcli saved",
                   config::import_nvmetcli, chosen);
  add_file_command(*group, "spdk", "Import SPDK's target from the output of its save_config", config::import_spdk,
                   chosen);

  auto root = std::make_shared<std::string>("/sys/kernel/config/nvmet");
  CLI::App* kernel = group->add_subcommand("kernel", "Import the kernel's target that runs on this machine");
  kernel->add_option("--configfs", *root, "Directory of the target's configfs")->capture_default_str();
  kernel->callback([=, &chosen] { chosen = [=] { return print(config::import_kernel(*root)); }; });
}

}  // namespace nvmf::daemon
