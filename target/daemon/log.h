// The daemon's log: lines on standard error, one per event.
#pragma once

#include "config/config.h"
#include "target/core/target.h"

namespace nvmf::daemon {

// From then on spdlog's default logger. Timestamps are left out when a service manager adds its own (JOURNAL_STREAM).
void start_log(config::LogLevel level);

void set_log_level(config::LogLevel level);

void log(core::Target::Severity severity, const std::string& message);

}  // namespace nvmf::daemon
