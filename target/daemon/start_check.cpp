#include "target/daemon/start_check.h"

#include <exception>
#include <filesystem>
#include <string>

#include "target/backend/engine.h"
#include "target/backend/trial.h"
#include "target/daemon/state_backup.h"

namespace nvmf::daemon {
namespace {

config::Diagnostic error(const config::Config& config, std::string path, std::string problem, std::string remedy) {
  return {config::Severity::error, config.file, {}, std::move(path), std::move(problem), std::move(remedy)};
}

void check_state(const config::Config& config, std::vector<config::Diagnostic>& errors) {
  const std::filesystem::path directory = config.state_dir;
  std::error_code unknown;
  if (!std::filesystem::exists(directory, unknown) && !unknown) return;
  try {
    for (const StateBackup::File& file : read_state(directory).files)
      if (const std::string fault = fault_of(file); !fault.empty())
        errors.push_back(error(config, "$.state_dir", (directory / file.name).string() + " " + fault,
                               "put back a good copy, or start the version that wrote it"));
  } catch (const std::exception& failure) {
    errors.push_back(error(config, "$.state_dir", std::string("the state cannot be read: ") + failure.what(), ""));
  }
}

void check_io_uring(const config::Config& config, std::vector<config::Diagnostic>& errors) {
  try {
    backend::UringEngine(backend::kTrialEngine).start();
  } catch (const std::exception& failure) {
    errors.push_back(error(config, "$.reactors", failure.what(), ""));
  }
}

}  // namespace

std::vector<config::Diagnostic> check_start(const config::Config& config) {
  std::vector<config::Diagnostic> errors;
  check_state(config, errors);
  check_io_uring(config, errors);
  return errors;
}

}  // namespace nvmf::daemon
