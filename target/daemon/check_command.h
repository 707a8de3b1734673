// `nvmf-p2p check`: the mistakes of a config file, and what cannot work on this machine, for people or for machines.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command to `app`. When the command line has the command, `chosen` becomes the function that runs it and
// returns the exit status: 0, or 2 when the file cannot be used (with --strict: also for warnings).
void add_check_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
