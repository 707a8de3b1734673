// nvmf-p2p: the command line. Exit status: 0 good, 1 failed while running, 2 wrong usage or config.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

#include "config/parse.h"
#include "target/daemon/check_command.h"
#include "target/daemon/daemon.h"
#include "target/daemon/doctor_command.h"
#include "target/daemon/import_command.h"
#include "target/daemon/log.h"

namespace {

using nvmf::config::Config;

constexpr int kExitUsage = 2;

// Says all that is wrong; empty when the file cannot be used.
std::optional<Config> load(const std::string& path) {
  const nvmf::config::Result result = nvmf::config::load(path);
  for (const auto& diagnostic : result.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  return result.config;
}

int run(const std::string& path) {
  const auto config = load(path);
  if (!config) return kExitUsage;
  nvmf::daemon::start_log(config->log_level);
  try {
    spdlog::info("nvmf-p2p {} with {}", NVMF_P2P_VERSION, path);
    nvmf::daemon::Daemon daemon(*config);
    return daemon.run();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return EXIT_FAILURE;
  }
}

int execute(int argc, char** argv) {
  CLI::App app{"NVMe over Fabrics target for RDMA networks that serves SSDs through their controller memory buffers"};
  app.set_version_flag("--version", NVMF_P2P_VERSION);
  app.require_subcommand(1);
  std::string config_path;

  auto* run_command = app.add_subcommand("run", "Serve what a config file names, until SIGTERM or SIGINT");
  run_command->add_option("-c,--config", config_path, "The JSON config file")->required();
  std::function<int()> chosen;
  nvmf::daemon::add_check_command(app, chosen);
  nvmf::daemon::add_doctor_command(app, chosen);
  nvmf::daemon::add_import_command(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  if (chosen) return chosen();
  if (*run_command) return run(config_path);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return execute(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    std::fputc('\n', stderr);
    return EXIT_FAILURE;
  }
}
