// `nvmf-p2p check`: all that is wrong or unwise about a config file, for people or for machines.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command to `app`. Where the command line has it, `chosen` becomes what carries it out and returns the exit
// status: 0, or 2 when the file cannot be used (with --strict: when there is anything to say).
void add_check_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
