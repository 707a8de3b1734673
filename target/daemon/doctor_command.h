// `nvmf-p2p doctor`: what on this machine can do peer-to-peer, and what to change where it cannot.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace nvmf::daemon {

// Adds the command to `app`. When the command line has the command, `chosen` becomes the function that runs it and
// returns the exit status, which is 0 whatever was found.
void add_doctor_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace nvmf::daemon
