// The daemon's log: one line per event, on standard error, or in the journal when systemd has connected standard error
// to it.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>

#include "config/config.h"
#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

// A JSON object on each line: "time_ms" (since 1970), "level", "message".
class JsonLines final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override;
  std::unique_ptr<spdlog::formatter> clone() const override;
};

// The log becomes spdlog's default logger. Only text lines go to the journal; JSON lines stay on standard error.
void start_log(config::LogLevel level, config::LogFormat format);

void set_log_level(config::LogLevel level);

// Of severity info, but written whatever the log level is: for the trail of who changed what.
void log_always(const std::string& message);

void log(core::Target::Severity severity, const std::string& message);

}  // namespace nvmf::daemon
