// `nvmf-p2p import`: the config of another target as ours, on standard output.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command to `app`. Where the command line has it, `chosen` becomes what carries it out and returns the exit
// status: 0, or 2 when nothing could be imported.
void add_import_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
