#include "target/daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

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

}  // namespace

void start_log(config::LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("nvmf-p2p", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog_level(level));
  logger->flush_on(spdlog::level::trace);
  logger->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

void set_log_level(config::LogLevel level) { spdlog::set_level(spdlog_level(level)); }

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
