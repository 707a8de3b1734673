#include "target/daemon/import_command.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>

#include "config/import.h"
#include "config/write.h"
#include "target/auth/key_file.h"

namespace nvmf::daemon {
namespace {

constexpr int kNothingImported = 2;

constexpr int kFailed = 1;
constexpr char kKeysOption[] = "--keys";

// Empty: keys are not written.
using KeyDirectory = std::shared_ptr<std::string>;

// The directory for messages and the config.
std::string directory_of(const KeyDirectory& keys) { return keys->empty() ? config::kImportedKeys : *keys; }

// False when a key cannot be written; then the config is not printed: hosts could not authenticate with it.
bool write_keys(const std::vector<config::FoundKey>& keys, const std::string& directory) {
  if (keys.empty()) return true;
  if (directory.empty()) {
    std::cerr << keys.size() << " keys were not written: import again with " << kKeysOption
              << " DIRECTORY, or write them to the files that \"hosts\" names\n";
    return true;
  }
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  bool good = true;
  for (const config::FoundKey& key : keys) {
    try {
      auth::write_key_file(key.path, *auth::DhchapKey::parse(key.text));
    } catch (const auth::BadKey& bad) {
      std::cerr << key.path << ": not written: " << bad.what() << '\n';
      good = false;
    } catch (const auth::KeyFileError& error) {
      std::cerr << error.what() << '\n';
      good = false;
    }
  }
  return good;
}

int print(const config::Result& result, const KeyDirectory& keys) {
  for (const auto& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  if (!result.config) return kNothingImported;
  if (!write_keys(result.keys, *keys)) return kFailed;
  std::cout << config::write(*result.config);
  return 0;
}

KeyDirectory add_keys_option(CLI::App& command) {
  auto keys = std::make_shared<std::string>();
  command
      .add_option(kKeysOption, *keys,
                  "Write the hosts' keys to new files in this directory, which only their owner may read")
      ->type_name("DIRECTORY");
  return keys;
}

using Import = std::function<config::Result(std::string_view text, const std::string& file_name)>;

int import_file(const Import& import, const std::string& path, const KeyDirectory& keys) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    std::cerr << path << ": error: cannot be read: " << std::generic_category().message(errno) << '\n';
    return kNothingImported;
  }
  return print(import(text, path), keys);
}

void add_nvmetcli_command(CLI::App& group, std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand("nvmetcli", "Import the kernel's target from a file that nvmetcli saved");
  command->add_option("file", *path, "The saved JSON file")->required();
  const KeyDirectory keys = add_keys_option(*command);
  const Import import = [keys](std::string_view text, const std::string& file_name) {
    return config::import_nvmetcli(text, file_name, directory_of(keys));
  };
  command->callback([=, &chosen] { chosen = [=] { return import_file(import, *path, keys); }; });
}

// SPDK's config names the files of its keys.
void add_spdk_command(CLI::App& group, std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand("spdk", "Import SPDK's target from the output of its save_config");
  command->add_option("file", *path, "The saved JSON file")->required();
  const auto no_keys = std::make_shared<std::string>();
  command->callback([=, &chosen] { chosen = [=] { return import_file(config::import_spdk, *path, no_keys); }; });
}

}  // namespace

void add_import_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* group = app.add_subcommand(
      "import",
      "Print the config of another target as a config of nvmf-p2p; standard error lists what cannot be carried over");
  group->require_subcommand(1);
  add_nvmetcli_command(*group, chosen);
  add_spdk_command(*group, chosen);

  auto root = std::make_shared<std::string>("/sys/kernel/config/nvmet");
  CLI::App* kernel = group->add_subcommand("kernel", "Import the kernel's target that runs on this machine");
  kernel->add_option("--configfs", *root, "Directory of the target's configfs")->capture_default_str();
  const KeyDirectory keys = add_keys_option(*kernel);
  kernel->callback(
      [=, &chosen] { chosen = [=] { return print(config::import_kernel(*root, directory_of(keys)), keys); }; });
}

}  // namespace nvmf::daemon
