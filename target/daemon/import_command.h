// `nvmf-p2p import`: prints the config of another target as a config of nvmf-p2p.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command to `app`. When the command line has the command, `chosen` becomes the function that runs it and
// returns the exit status: 0, 3 when something was left out, or 2 when nothing could be imported, or with --strict
// something was left out.
void add_import_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
