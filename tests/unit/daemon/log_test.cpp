// The log as a machine reads it: a JSON object a line.
#include "target/daemon/log.h"

#include <doctest/doctest.h>
#include <spdlog/details/log_msg.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace nvmf::daemon {
namespace {

std::string line_of(const std::string& message) {
  const spdlog::log_clock::time_point when{std::chrono::milliseconds(1'700'000'000'123)};
  spdlog::memory_buf_t line;
  JsonLines().format(spdlog::details::log_msg(when, {}, "nvmf-p2p", spdlog::level::warn, message), line);
  return {line.data(), line.size()};
}

TEST_CASE("an event is one line with its time, level and message") {
  CHECK(line_of("port 1: listening") ==
        "{\"time_ms\":1700000000123,\"level\":\"warning\",\"message\":\"port 1: listening\"}\n");
}

TEST_CASE("whatever a message holds, the line is one JSON object") {
  const std::string line = line_of("host «nqn\"\n\\» \xff");
  CHECK(std::ranges::count(line, '\n') == 1);
  CHECK(nlohmann::json::parse(line)["message"] == "host «nqn\"\n\\» \xEF\xBF\xBD");
}

}  // namespace
}  // namespace nvmf::daemon
