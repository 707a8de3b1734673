#include "target/daemon/import_command.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "config/file_content.h"
#include "config/import.h"
#include "config/printable.h"
#include "config/wording.h"
#include "config/write.h"
#include "p2p/sysfs.h"
#include "target/auth/key_file.h"
#include "target/daemon/cli/arguments.h"

namespace nvmf::daemon {
namespace {

constexpr int kFailed = 1;
constexpr int kNothingImported = 2;
constexpr int kLeftOut = 3;
constexpr char kKeysOption[] = "--keys";
constexpr size_t kMostNameBytes = 64;

struct ImportOptions {
  bool strict = false;
  std::string keys;      // directory; empty: keys are not written
  std::string drop_ins;  // directory; empty: the subsystems are printed with the rest

  // The directory for messages and the config.
  std::string key_directory() const {
    return keys.empty() ? config::kImportedKeys : std::filesystem::absolute(keys).string();
  }
};
using config::count_of;
using Options = std::shared_ptr<ImportOptions>;

std::string summary_of(const config::Config& config, size_t left_out) {
  size_t namespaces = 0;
  for (const auto& subsystem : config.subsystems) namespaces += subsystem.namespaces.size();
  return "imported " + count_of(config.ports.size(), "port") + ", " + count_of(config.subsystems.size(), "subsystem") +
         " and " + count_of(namespaces, "namespace") + "; " +
         (left_out == 0 ? "nothing was" : count_of(left_out, "thing") + (left_out == 1 ? " was" : " were")) +
         " left out";
}

bool has_key(const std::string& path, const auth::DhchapKey& key) {
  try {
    return core::same(*auth::read_key_file(path), key);
  } catch (const auth::KeyFileError&) {
    return false;
  }
}

// A file that has the key already, as an earlier import wrote it, stays.
bool write_key(const config::FoundKey& found, std::vector<std::string>& written) {
  try {
    const auto key = auth::DhchapKey::parse(found.text);
    if (has_key(found.path, *key)) return true;
    auth::write_key_file(found.path, *key);
    written.push_back(found.path);
    return true;
  } catch (const auth::BadKey& bad) {
    std::cerr << config::printable(found.path) << ": not written: " << config::printable(bad.what()) << '\n';
  } catch (const auth::KeyFileError& error) {
    std::cerr << config::printable(error.what()) << '\n';
  }
  return false;
}

// False when a key cannot be written, and none is then; the config is not printed: hosts could not authenticate with
// it.
bool write_keys(const std::vector<config::FoundKey>& keys, const std::string& directory) {
  if (keys.empty()) return true;
  if (directory.empty()) {
    std::cerr << count_of(keys.size(), "key") << " not written: import again with " << kKeysOption
              << " DIRECTORY, or write the keys to the files that \"hosts\" names\n";
    return true;
  }
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  std::vector<std::string> written;
  const bool good = std::ranges::all_of(keys, [&](const config::FoundKey& key) { return write_key(key, written); });
  if (good) return true;
  for (const std::string& path : written) std::filesystem::remove(path, ignored);
  return false;
}

// What of an NQN tells subsystems apart, as the name of a drop-in without its ending.
std::string name_of(const std::string& nqn) {
  std::string name = nqn.substr(nqn.rfind(':') + 1).substr(0, kMostNameBytes);
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && (c != '.' || &c == name.data()))
      c = '_';
  return name.empty() ? "subsystem" : name;
}

// A name that no earlier subsystem has.
std::string unique_name(const std::string& nqn, std::set<std::string>& taken) {
  const std::string name = name_of(nqn);
  std::string unique = name;
  for (int number = 2; !taken.insert(unique).second; ++number) unique = name + '-' + std::to_string(number);
  return unique;
}

void write_new_file(const std::string& path, const std::string& text) {
  const auto fail = [&] { throw std::system_error(errno, std::generic_category(), path + " cannot be written"); };
  std::FILE* const file = std::fopen(path.c_str(), "wxe");
  if (file == nullptr && errno == EEXIST)
    throw std::runtime_error(path + " exists already: remove the file, or name another directory with --drop-ins");
  if (file == nullptr) fail();
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) == 0 && written) return;
  std::remove(path.c_str());
  fail();
}

// A file for each subsystem, or, when one cannot be written, none.
bool write_drop_ins(const config::Config& config, const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  std::set<std::string> names;
  std::vector<std::string> written;
  try {
    for (const config::Subsystem& subsystem : config.subsystems) {
      const std::string path = (directory / (unique_name(subsystem.nqn, names) + ".json")).string();
      write_new_file(path, config::write_drop_in(subsystem));
      written.push_back(path);
    }
  } catch (const std::runtime_error& error) {
    std::cerr << config::printable(error.what()) << '\n';
    for (const std::string& path : written) std::filesystem::remove(path, ignored);
    return false;
  }
  std::cerr << "wrote " << count_of(written.size(), "drop-in") << " to " << config::printable(directory.string())
            << '\n';
  return true;
}

int print(const std::string& source, const config::ImportResult& result, const ImportOptions& options) {
  for (const auto& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  if (!result.config) return kNothingImported;
  if (result.config->ports.empty() && result.config->subsystems.empty()) {
    std::cerr << config::printable(source) << ": nothing is imported, because no port and no subsystem is left\n";
    return kNothingImported;
  }
  const bool refused = options.strict && result.left_out != 0;
  std::cerr << config::printable(source) << ": " << summary_of(*result.config, result.left_out)
            << (refused ? ", so with --strict nothing is printed" : "") << '\n';
  if (refused) return kNothingImported;
  if (!write_keys(result.keys, options.keys)) return kFailed;
  config::Config printed = *result.config;
  if (!options.drop_ins.empty()) {
    if (!write_drop_ins(printed, options.drop_ins)) return kFailed;
    printed.subsystems.clear();
  }
  std::cout << config::write(printed);
  return result.left_out == 0 ? 0 : kLeftOut;
}

Options add_options(CLI::App& command) {
  auto options = std::make_shared<ImportOptions>();
  command.add_flag("--strict", options->strict,
                   "Print nothing and exit with status 2 when something would be left out");
  command
      .add_option("--drop-ins", options->drop_ins,
                  "Write each subsystem to a new file of its own in this directory, and print the rest")
      ->type_name("DIRECTORY");
  return options;
}

void add_keys(CLI::App& command, ImportOptions& options) {
  command
      .add_option(kKeysOption, options.keys,
                  "Write the hosts' keys to new files in this directory, which only their owner may read")
      ->type_name("DIRECTORY");
}

using Import = std::function<config::ImportResult(std::string_view text, const std::string& file_name)>;

int import_file(const Import& import, const std::string& path, const ImportOptions& options) {
  std::string text;
  if (const int error = config::read_input(path, text); error != 0) {
    std::cerr << config::printable(path) << ": error: cannot be read: " << config::reading_error(error) << '\n';
    return kNothingImported;
  }
  return print(path, import(text, path), options);
}

void add_nvmetcli_command(CLI::App& group, std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand("nvmetcli", "Import the kernel's target from a file that nvmetcli saved");
  cli::file_name(command->add_option("file", *path, "The saved JSON file; - is standard input"))->required();
  const Options options = add_options(*command);
  add_keys(*command, *options);
  const Import import = [options](std::string_view text, const std::string& file_name) {
    return config::import_nvmetcli(text, file_name, options->key_directory());
  };
  command->callback([=, &chosen] { chosen = [=] { return import_file(import, *path, *options); }; });
}

uint64_t block_bytes_of(const std::string& path) {
  const p2p::Sysfs sysfs;
  const std::string device = "/sys/class/block/" + std::filesystem::path(sysfs.resolve(path)).filename().string();
  for (const char* const disk : {"", "/.."})  // that of a partition is its disk's
    if (const auto bytes = sysfs.number(sysfs.resolve(device + disk) + "/queue/logical_block_size")) return *bytes;
  return 0;
}

// SPDK's config names the files of its keys.
void add_spdk_command(CLI::App& group, std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = group.add_subcommand("spdk", "Import SPDK's target from the output of its save_config");
  cli::file_name(command->add_option("file", *path, "The saved JSON file; - is standard input"))->required();
  const Options options = add_options(*command);
  const Import import = [](std::string_view text, const std::string& file_name) {
    return config::import_spdk(text, file_name, &block_bytes_of);
  };
  command->callback([=, &chosen] { chosen = [=] { return import_file(import, *path, *options); }; });
}

}  // namespace

void add_import_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* group = app.add_subcommand(
      "import",
      "Print the config of another target as a config of nvmf-p2p; standard error lists what cannot be carried over, "
      "and the exit status is then 3");
  group->require_subcommand(1);
  add_nvmetcli_command(*group, chosen);
  add_spdk_command(*group, chosen);

  auto root = std::make_shared<std::string>("/sys/kernel/config/nvmet");
  CLI::App* kernel = group->add_subcommand("kernel", "Import the kernel's target that runs on this machine");
  kernel->add_option("--configfs", *root, "Directory of the target's configfs")->capture_default_str();
  const Options options = add_options(*kernel);
  add_keys(*kernel, *options);
  kernel->callback([=, &chosen] {
    chosen = [=] { return print(*root, config::import_kernel(*root, options->key_directory()), *options); };
  });
}

}  // namespace nvmf::daemon
