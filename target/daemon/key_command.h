// `nvmf-p2p key`: the keys with which hosts and subsystems authenticate.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command and its commands to `app`. When the command line has one, `chosen` becomes the function that runs it
// and returns the exit status: 0, 1 when a file cannot be written, or 2 when there is no good key.
void add_key_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
