// The daemon's log: one line per event, on standard error, or in the journal when systemd has connected standard error
// to it. Lines that the reader does not take at once are dropped and counted. Any thread.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "target/core/subsystem/event.h"

namespace nvmf::daemon {

// A JSON object on each line: "time_ms" (since 1970), "level", "message"; of an event also "event" and, where it has
// them, "subsystem" and "host".
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

// With the fields of the journal, or of the JSON object, that say what the line is about.
void log(const core::Event& event);

// What journald gets of a line ("MESSAGE=...", "PRIORITY=..."), with the fields of `event`, if there is one:
// MESSAGE_ID, EVENT, NQN (of the subsystem), HOST (its NQN).
std::vector<std::string> journal_fields(spdlog::level::level_enum level, std::string_view message,
                                        const core::Event* event);
// An identifier that all events of a kind have in the journal (sd_journal_send(3)), and no other message.
const char* message_id_of(core::EventKind kind);

}  // namespace nvmf::daemon
