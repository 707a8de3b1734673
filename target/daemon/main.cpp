// nvmf-p2p: the command line. Exit status: 0 good, 1 failed while running, 2 wrong usage or config.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/edit.h"
#include "config/parse.h"
#include "config/printable.h"
#include "config/schema.h"
#include "config/wording.h"
#include "target/daemon/backup_command.h"
#include "target/daemon/check_command.h"
#include "target/daemon/cli/arguments.h"
#include "target/daemon/cli/commands.h"
#include "target/daemon/cli/completion.h"
#include "target/daemon/cli/config_manual.h"
#include "target/daemon/cli/documents.h"
#include "target/daemon/cli/error_output.h"
#include "target/daemon/daemon.h"
#include "target/daemon/doctor_command.h"
#include "target/daemon/import_command.h"
#include "target/daemon/key_command.h"
#include "target/daemon/log.h"
#include "target/daemon/program.h"
#include "target/daemon/resource_check.h"
#include "target/daemon/save_journal.h"

namespace {

using nvmf::config::Config;

using nvmf::cli::kExitUsage;

constexpr char kName[] = "nvmf-p2p";
constexpr char kExitStatuses[] =
    "0: done, or stopped as asked. 1: failed, or the daemon cannot be reached or refuses; the message says what to do. "
    "2: wrong usage, or a config with mistakes; nothing was started or changed. 3: done, but `import` left something "
    "out, or --exit-code asked for a difference (`diff`) or a fault (`status`) and there is one.";
constexpr char kDescription[] =
    "Serves SSDs, block devices and files to remote hosts by NVMe over Fabrics on RDMA networks. Where an SSD has a "
    "controller memory buffer and a self-test proves that it works, data moves between the SSD and the RNIC "
    "without touching the machine's DRAM. `run` is the daemon. `check`, `doctor`, `import`, `key`, `backup` and "
    "`restore` work without a daemon. All other commands talk to the running daemon through its admin socket. Their "
    "changes take effect at "
    "once; `save` "
    "writes them to the config file.";

void print(const std::vector<nvmf::config::Diagnostic>& diagnostics) {
  for (const auto& diagnostic : diagnostics) std::cerr << to_string(diagnostic) << '\n';
}

// Prints all mistakes, and that the machine has too little memory; empty when the file cannot be used.
std::optional<Config> load(const std::string& path, nvmf::config::Sources& sources) {
  const nvmf::config::Result result = nvmf::config::load(path, &sources);
  print(result.diagnostics);
  if (result.config) print(nvmf::daemon::check_memory(*result.config, nvmf::p2p::Sysfs()));
  return result.config;
}

// The config file's; or, where another version was to take over and could not start, the config that this one had.
std::optional<Config> load(const std::string& path, const nvmf::daemon::Program& program,
                           nvmf::config::Sources& sources) {
  if (!program.former_config()) return load(path, sources);
  sources = nvmf::config::sources_of(*program.former_config());
  return nvmf::config::parse(sources).config;
}

struct Served {
  int status;
  nvmf::daemon::Daemon::Successor successor;
  std::string config;              // its files, as one text
  std::vector<std::string> names;  // of what it served
  std::string shortfall;           // why the former program is to return
};

Served serve(const Config& config, nvmf::config::Sources sources, nvmf::daemon::Program& program) {
  nvmf::daemon::Daemon daemon(config, std::move(sources), program);
  const int status = daemon.run();
  return {status, daemon.successor(), daemon.config_text(), daemon.served_names(), daemon.shortfall()};
}

int run(const std::string& path, nvmf::daemon::Program& program) {
  if (path == "-") {
    std::cerr
        << "run: the config must be a file, because reloads read it again and `save` writes it: give --config FILE\n";
    return kExitUsage;
  }
  const std::vector<std::string> undone = nvmf::daemon::undo_before_reading(path);
  nvmf::config::Sources sources;
  const auto config = load(path, program, sources);
  if (!config) {
    for (const std::string& sentence : undone) std::cerr << nvmf::config::printable(sentence) << '\n';
    program.go_back("could not start: the config has mistakes");
    return kExitUsage;
  }
  // The reader of the log may go; and nobody who asks a program of another kind to do something ends this one.
  for (const int signal : {SIGPIPE, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
  nvmf::daemon::start_log(config->log_level, config->log_format);
  const std::string& former = program.former_version();
  spdlog::info("nvmf-p2p {} with {}{}{}", NVMF_P2P_VERSION, path, nvmf::config::and_drop_ins(config->drop_ins.size()),
               former.empty() ? "" : ", in place of version " + former);
  for (const std::string& sentence : undone) spdlog::warn("{}", sentence);
  if (!program.upgrade_failure().empty()) spdlog::error("the upgrade failed: {}", program.upgrade_failure());
  try {
    const Served served = serve(*config, std::move(sources), program);
    using Successor = nvmf::daemon::Daemon::Successor;
    if (served.successor == Successor::Next) program.replace(served.config, served.names);
    if (served.successor != Successor::Former) return served.status;
    program.go_back(served.shortfall);
    return EXIT_FAILURE;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    program.go_back(std::string("could not start: ") + error.what());
    return EXIT_FAILURE;
  }
}

// For the build: prints the documents that are installed with the program.
int generate(const CLI::App& app, const std::string& what) {
  using namespace nvmf::cli;
  if (what == "man-config")
    std::cout << config_manual(nvmf::config::schema_text(), std::string(kName) + " " + NVMF_P2P_VERSION);
  if (what == "man") std::cout << manual_page(app, {kName, NVMF_P2P_VERSION, kDescription});
  if (what == "bash") std::cout << bash_completion(app, kName);
  if (what == "zsh") std::cout << zsh_completion(app, kName);
  if (what == "fish") std::cout << fish_completion(app, kName);
  return EXIT_SUCCESS;
}

// For the shells: prints what the running daemon knows of the last word.
int print_candidates(const CLI::App& app, const std::vector<std::string>& words) {
  for (const std::string& candidate : nvmf::cli::complete(app, words)) std::cout << candidate << '\n';
  return EXIT_SUCCESS;
}

// `unknown`: the words that no command takes.
std::string fault_of_command(const std::vector<std::string>& unknown) {
  if (unknown.empty()) return "a command is needed";
  const std::string word = '"' + unknown.front() + '"';
  return unknown.front().starts_with('-') ? "a command is needed before " + word : "there is no command " + word;
}

// CLI11's messages, but for those that do not say what was wrong.
std::string usage_fault(const CLI::App* app, const CLI::Error& error) {
  constexpr std::string_view kNotConverted = "Could not convert: ";
  std::string text = error.what();
  const std::vector<std::string> unknown = app->remaining(true);
  if (text == "A subcommand is required") text = fault_of_command(unknown);
  if (text.starts_with(kNotConverted) && text.find(" = ") != std::string::npos) {  // «id = x»
    const size_t equals = text.find(" = ");
    text = text.substr(kNotConverted.size(), equals - kNotConverted.size()) + ": \"" + text.substr(equals + 3) +
           "\" is not a number";
  }
  return nvmf::config::printable(text) + "\nRun with --help for more information.\n";
}

int execute(int argc, char** argv) {
  nvmf::daemon::Program program(argc, argv);
  CLI::App app{"NVMe over Fabrics target for RDMA networks that serves SSDs through their controller memory buffers",
               kName};
  app.set_version_flag("--version", NVMF_P2P_VERSION);
  app.require_subcommand(1);
  app.footer(kExitStatuses);
  app.failure_message(usage_fault);
  std::string config_path;

  auto* run_command =
      app.add_subcommand("run", "Run the daemon: serve the subsystems of a config file until SIGTERM or SIGINT");
  nvmf::cli::file_name(run_command->add_option("-c,--config", config_path, "The JSON config file"))->required();
  std::function<int()> chosen;
  nvmf::daemon::add_check_command(app, chosen);
  nvmf::daemon::add_doctor_command(app, chosen);
  nvmf::daemon::add_import_command(app, chosen);
  nvmf::daemon::add_key_command(app, chosen);
  nvmf::daemon::add_backup_commands(app, chosen);
  const nvmf::cli::Commands commands(app);
  std::string document;
  auto* generate_command = app.add_subcommand("generate", "Print a manual page or a shell's completion")->group("");
  generate_command->add_option("what", document)
      ->required()
      ->check(CLI::IsMember({"man", "man-config", "bash", "zsh", "fish"}));
  // The words of an unfinished command are no command yet, so the parser does not see them.
  if (argc > 1 && std::string_view(argv[1]) == "complete") return print_candidates(app, {argv + 2, argv + argc});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  if (chosen) return chosen();
  if (*run_command) return run(config_path, program);
  if (*generate_command) return generate(app, document);
  return commands.run();
}

// A script must not take half of an answer for all of it.
int with_output_written(int status) {
  if (std::cout.flush() && std::fflush(stdout) == 0) return status;
  std::fputs("cannot write to standard output: the output is not complete\n", stderr);
  return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

}  // namespace

int main(int argc, char** argv) {
  const nvmf::cli::PrintableOutput errors(std::cerr);
  try {
    return with_output_written(execute(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
