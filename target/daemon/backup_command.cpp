#include "target/daemon/backup_command.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "config/config.h"
#include "config/file_content.h"
#include "config/parse.h"
#include "config/printable.h"
#include "config/wording.h"
#include "target/daemon/cli/arguments.h"
#include "target/daemon/named_file.h"
#include "target/daemon/state_backup.h"

namespace nvmf::daemon {
namespace {

constexpr int kFailed = 1;
constexpr int kNoBackup = 2;

struct Options {
  std::string file;
  std::string state_dir = config::Config().state_dir;
  std::string config;
};

void take_options(CLI::App& command, Options& options) {
  CLI::Option* const directory =
      cli::file_name(command.add_option("--state-dir", options.state_dir,
                                        "The directory with the state (\"state_dir\" of the config)"))
          ->type_name("PATH")
          ->capture_default_str();
  cli::file_name(command.add_option("-c,--config", options.config, "The config file that names the directory"))
      ->type_name("FILE")
      ->excludes(directory);
}

// As the config names it, without a slash at its end.
std::filesystem::path directory_of(const Options& options) {
  std::string directory = options.state_dir;
  if (!options.config.empty()) {
    const config::Result result = config::load(options.config);
    const auto error = std::ranges::find(result.diagnostics, config::Severity::error, &config::Diagnostic::severity);
    if (error != result.diagnostics.end()) throw BadBackup(to_string(*error));
    directory = result.config->state_dir;
  }
  std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

int back_up(const Options& options) {
  const std::filesystem::path directory = directory_of(options);
  const StateBackup backup = read_state(directory);
  for (const std::string& name : backup.ignored)
    std::cerr << "left out, because it is not a file of the daemon's: "
              << config::printable((directory / name).string()) << '\n';
  const std::string text = restorable_text_of(backup, directory);
  const bool to_output = options.file == "-";
  if (to_output && !(std::cout << text << std::flush)) return kFailed;  // main() says that the output is not complete
  if (!to_output) write_named_file(options.file, text, {.what = "backup of nvmf-p2p's state", .is_of = &begins_backup});
  (to_output ? std::cerr : std::cout) << "saved " << config::count_of(backup.files.size(), "file") << " of "
                                      << config::printable(directory.string()) << '\n';
  return EXIT_SUCCESS;
}

int put_back(const Options& options) {
  const std::filesystem::path directory = directory_of(options);
  std::string text;
  if (const int error = config::read_input(options.file, text, kMostBackupBytes); error != 0)
    throw std::runtime_error("it cannot be read: " + config::reading_error(error, kMostBackupBytes));
  const StateBackup backup = backup_from(text);
  const Restored done = restore(directory, backup);
  std::cout << "restored " << config::count_of(backup.files.size(), "file") << " to "
            << config::printable(directory.string()) << '\n';
  if (!done.former.empty())
    std::cout << "what was there before is in " << config::printable(done.former.string()) << '\n';
  if (!done.owned)
    std::cerr << "the files belong to you, not to the owner of the directory: give them to the daemon's user with "
                 "chown -R\n";
  return EXIT_SUCCESS;
}

int guarded(const Options& options, int (*act)(const Options&)) {
  try {
    return act(options);
  } catch (const BadBackup& bad) {
    std::cerr << config::printable(options.file) << ": " << config::printable(bad.what()) << '\n';
    return kNoBackup;
  } catch (const std::exception& error) {
    std::cerr << config::printable(options.file) << ": " << config::printable(error.what()) << '\n';
    return kFailed;
  }
}

void add(CLI::App& app, const char* name, const char* what, const char* file, int (*act)(const Options&),
         std::function<int()>& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand(name, what);
  cli::file_name(command->add_option("file", options->file, file))->type_name("FILE")->required();
  take_options(*command, *options);
  command->callback([=, &chosen] { chosen = [=] { return guarded(*options, act); }; });
}

}  // namespace

void add_backup_commands(CLI::App& app, std::function<int()>& chosen) {
  add(app, "backup",
      "Save what outlives the daemon (reservations, write protection, identifiers) in one file; a daemon may run",
      "The backup: a new file, or an earlier backup, which is replaced; - is standard output", &back_up, chosen);
  add(app, "restore",
      "Put a backup back: all of it at once, while no daemon uses the directory. What was there stays beside it",
      "The backup; - is standard input", &put_back, chosen);
}

}  // namespace nvmf::daemon
