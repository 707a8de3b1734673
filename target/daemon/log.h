// The daemon's log: one line per event, on standard error, or in the journal where that is what systemd has there.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>

#include "config/config.h"
#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

// A JSON object a line: "time_ms" (since 1970), "level", "message".
class JsonLines final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override;
  std::unique_ptr<spdlog::formatter> clone() const override;
};

// From then on spdlog's default logger. To the journal go text lines only; JSON lines stay on standard error.
void start_log(config::LogLevel level, config::LogFormat format);

void set_log_level(config::LogLevel level);

void log(core::Target::Severity severity, const std::string& message);

}  // namespace nvmf::daemon
