#include "target/daemon/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syslog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/printable.h"
#include "config/wording.h"
#include "target/daemon/log_output.h"

namespace nvmf::daemon {
namespace {

spdlog::level::level_enum spdlog_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::trace:
      return spdlog::level::trace;
    case config::LogLevel::debug:
      return spdlog::level::debug;
    case config::LogLevel::info:
      return spdlog::level::info;
    case config::LogLevel::warn:
      return spdlog::level::warn;
    case config::LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// The event whose line this thread writes at the moment; a line of spdlog has no place for it.
thread_local const core::Event* event_of_line = nullptr;

int syslog_priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return LOG_CRIT;
    case spdlog::level::err:
      return LOG_ERR;
    case spdlog::level::warn:
      return LOG_WARNING;
    case spdlog::level::info:
      return LOG_INFO;
    default:
      return LOG_DEBUG;
  }
}

// Drops the lines that nobody takes, and says how many when the log goes on.
class LossySink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  // False: the line was dropped.
  virtual bool put(const spdlog::details::log_msg& message) = 0;

 private:
  void sink_it_(const spdlog::details::log_msg& message) final {
    if ((dropped_ == 0 || put_note(message)) && put(message)) return;
    ++dropped_;
  }
  bool put_note(const spdlog::details::log_msg& next) {
    const std::string text =
        fmt::format("{} of the log {} lost here, because the reader of the log did not take {}",
                    config::count_of(dropped_, "line"), dropped_ == 1 ? "was" : "were", dropped_ == 1 ? "it" : "them");
    const core::Event* const event = std::exchange(event_of_line, nullptr);
    const bool taken = put({next.time, {}, next.logger_name, spdlog::level::warn, text});
    event_of_line = event;
    if (taken) dropped_ = 0;
    return taken;
  }
  void flush_() override {}

  uint64_t dropped_ = 0;
};

class StandardErrorSink final : public LossySink {
  bool put(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return output_.write({line.data(), line.size()});
  }

  LogOutput output_{STDERR_FILENO};
};

class JournalSink final : public LossySink {
  bool put(const spdlog::details::log_msg& message) override {
    const std::string_view text{message.payload.data(), message.payload.size()};
    return output_.write(journal_fields(message.level, text, event_of_line));
  }

  JournalOutput output_;
};

// One line without control characters and keys, whatever names of hosts and devices, and pieces of requests, it has in
// it.
std::string shown(std::string_view message) { return config::printable(config::without_keys(message)); }

class PrintableLog final : public spdlog::logger {
 public:
  using spdlog::logger::logger;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string text = shown({message.payload.data(), message.payload.size()});
    spdlog::details::log_msg line = message;
    line.payload = text;
    spdlog::logger::sink_it_(line);
  }
};

// Whether standard error is connected to journald: systemd.exec(5), JOURNAL_STREAM.
bool journal_reads_standard_error() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat error {};
  if (stream == nullptr || fstat(STDERR_FILENO, &error) != 0) return false;
  return stream == std::to_string(error.st_dev) + ":" + std::to_string(error.st_ino);
}

}  // namespace

void JsonLines::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) {
  using std::chrono::milliseconds;
  const auto since_epoch = std::chrono::duration_cast<milliseconds>(message.time.time_since_epoch());
  const auto level = spdlog::level::to_string_view(message.level);
  nlohmann::ordered_json fields = {
      {"time_ms", since_epoch.count()},
      {"level", std::string_view(level.data(), level.size())},
      {"message", std::string_view(message.payload.data(), message.payload.size())},
  };
  if (event_of_line != nullptr) {
    fields["event"] = core::name_of(event_of_line->kind);
    if (!event_of_line->subsystem.empty()) fields["subsystem"] = event_of_line->subsystem;
    if (!event_of_line->host.empty()) fields["host"] = event_of_line->host;
  }
  // The message may contain a host's name, which need not be UTF-8.
  const std::string text = fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  line.append(text.data(), text.data() + text.size());
}

std::unique_ptr<spdlog::formatter> JsonLines::clone() const { return std::make_unique<JsonLines>(); }

void start_log(config::LogLevel level, config::LogFormat format) {
  const bool to_journal = format == config::LogFormat::text && journal_reads_standard_error();
  spdlog::sink_ptr sink;
  if (to_journal)
    sink = std::make_shared<JournalSink>();
  else
    sink = std::make_shared<StandardErrorSink>();
  auto logger = std::make_shared<PrintableLog>("nvmf-p2p", std::move(sink));
  logger->set_level(spdlog_level(level));
  logger->flush_on(spdlog::level::trace);
  if (format == config::LogFormat::json)
    logger->set_formatter(std::make_unique<JsonLines>());
  else
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

void set_log_level(config::LogLevel level) { spdlog::set_level(spdlog_level(level)); }

void log_always(const std::string& message) {
  const spdlog::logger& logger = *spdlog::default_logger_raw();
  const std::string text = shown(message);
  for (const spdlog::sink_ptr& sink : logger.sinks()) {
    sink->log({logger.name(), spdlog::level::info, text});
    sink->flush();
  }
}

void log(const core::Event& event) {
  constexpr std::array<spdlog::level::level_enum, 3> kLevels = {spdlog::level::info, spdlog::level::warn,
                                                                spdlog::level::err};
  event_of_line = &event;
  spdlog::log(kLevels[static_cast<size_t>(event.severity)], "{}", event.message);
  event_of_line = nullptr;
}

std::vector<std::string> journal_fields(spdlog::level::level_enum level, std::string_view message,
                                        const core::Event* event) {
  std::vector<std::string> fields = {"MESSAGE=" + std::string(message),
                                     "PRIORITY=" + std::to_string(syslog_priority(level)),
                                     "SYSLOG_IDENTIFIER=nvmf-p2p"};
  if (event == nullptr) return fields;
  fields.push_back(std::string("MESSAGE_ID=") + message_id_of(event->kind));
  fields.push_back(std::string("EVENT=") + core::name_of(event->kind));
  if (!event->subsystem.empty()) fields.push_back("NQN=" + config::printable(event->subsystem));
  if (!event->host.empty()) fields.push_back("HOST=" + config::printable(event->host));
  return fields;
}

const char* message_id_of(core::EventKind kind) {
  constexpr std::array<const char*, core::kEventKinds> kIds = {
      "36ad12e71e774a5393b00c5819791d6a", "c399ef8dca2a46f88ea71393b12bbccb", "ebb74dcee7294adda9943cb8bb0fe167",
      "054324c1510f46ccb2a0388215f6bf6f", "bb107fc472a94e35bf66a89db7a6bcc4", "45b20e2292a84ac5bde4e398c5dbc5eb",
      "0c2fb24f7bca4b5cacb845eee39e549d", "c340e80840ae4e84bd9fc7cfbe84a8ff", "fb49d7ba6e66449fad6d8b1353b6b1eb",
      "866a38def93945d3b5df515a54349b2c"};
  return kIds[static_cast<size_t>(kind)];
}

}  // namespace nvmf::daemon
