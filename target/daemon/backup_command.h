// `nvmf-p2p backup` and `restore`: the state that outlives the daemon, as one file.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the commands to `app`. When the command line has one, `chosen` becomes the function that runs it and returns the
// exit status: 0, 1 when something failed or a daemon uses the directory, 2 when the file is no good backup.
void add_backup_commands(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
