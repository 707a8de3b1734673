#include "target/daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/printable.h"

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

// Each message becomes one line without control characters, whatever names of hosts and devices it has in it.
class PrintableLog final : public spdlog::logger {
 public:
  using spdlog::logger::logger;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string text = config::printable({message.payload.data(), message.payload.size()});
    spdlog::details::log_msg shown = message;
    shown.payload = text;
    spdlog::logger::sink_it_(shown);
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
  const nlohmann::ordered_json fields = {
      {"time_ms", since_epoch.count()},
      {"level", std::string_view(level.data(), level.size())},
      {"message", std::string_view(message.payload.data(), message.payload.size())},
  };
  // The message may contain a host's name, which need not be UTF-8.
  const std::string text = fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  line.append(text.data(), text.data() + text.size());
}

std::unique_ptr<spdlog::formatter> JsonLines::clone() const { return std::make_unique<JsonLines>(); }

void start_log(config::LogLevel level, config::LogFormat format) {
  const bool to_journal = format == config::LogFormat::text && journal_reads_standard_error();
  spdlog::sink_ptr sink;
  if (to_journal)
    sink = std::make_shared<spdlog::sinks::systemd_sink_mt>("nvmf-p2p");
  else
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
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
  const std::string text = config::printable(message);
  for (const spdlog::sink_ptr& sink : logger.sinks()) {
    sink->log({logger.name(), spdlog::level::info, text});
    sink->flush();
  }
}

void log(core::Target::Severity severity, const std::string& message) {
  switch (severity) {
    case core::Target::Severity::Info:
      return spdlog::info("{}", message);
    case core::Target::Severity::Warning:
      return spdlog::warn("{}", message);
    case core::Target::Severity::Error:
      return spdlog::error("{}", message);
  }
}

}  // namespace nvmf::daemon
