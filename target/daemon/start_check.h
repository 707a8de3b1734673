// What a start of the daemon needs besides a good config, as far as it can be tried while another daemon serves with
// the same config. Part of `nvmf-p2p check --start`; changes nothing.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"

namespace nvmf::daemon {

// Errors: files in "state_dir" that this version cannot use, a kernel without io_uring.
std::vector<config::Diagnostic> check_start(const config::Config& config);

}  // namespace nvmf::daemon
