// The log as a machine reads it: a JSON object a line.
#include "target/daemon/log.h"

#include <doctest/doctest.h>
#include <spdlog/details/log_msg.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

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

const core::Event kConnected{.kind = core::EventKind::Connect,
                             .message = "connected",
                             .subsystem = "nqn.2024-01.org.example:disks",
                             .host = "nqn.h\x1b\n"};

TEST_CASE("an event has fields in the journal by which it is found; any other line has none") {
  const std::vector<std::string> fields = journal_fields(spdlog::level::info, kConnected.message, &kConnected);
  CHECK(fields == std::vector<std::string>{"MESSAGE=connected", "PRIORITY=6", "SYSLOG_IDENTIFIER=nvmf-p2p",
                                           std::string("MESSAGE_ID=") + message_id_of(core::EventKind::Connect),
                                           "EVENT=connect", "NQN=nqn.2024-01.org.example:disks",
                                           R"(HOST=nqn.h\x1b\x0a)"});
  CHECK(journal_fields(spdlog::level::err, "x", nullptr) ==
        std::vector<std::string>{"MESSAGE=x", "PRIORITY=3", "SYSLOG_IDENTIFIER=nvmf-p2p"});
}

TEST_CASE("each kind of event has an identifier of its own, 128 bits in hexadecimal digits") {
  std::set<std::string> ids;
  for (size_t kind = 0; kind < core::kEventKinds; ++kind) {
    const std::string id = message_id_of(static_cast<core::EventKind>(kind));
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    ids.insert(id);
  }
  CHECK(ids.size() == core::kEventKinds);
}

}  // namespace
}  // namespace nvmf::daemon
