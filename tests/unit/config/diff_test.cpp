// What a running target has to change to apply another config.
#include "config/diff.h"

#include <doctest/doctest.h>

#include "config/parse.h"

namespace nvmf::config::test {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* kBefore = R"({
  "ports": [ { "id": 1, "address": "192.0.2.1" }, { "id": 2, "address": "192.0.2.2" } ],
  "subsystems": [
    { "nqn": "nqn.2026-01.io.example:a", "allow_any_host": true,
      "namespaces": [ { "nsid": 1, "nvme": "/dev/ng0n1" }, { "nsid": 2, "memory": "1MiB" } ] },
    { "nqn": "nqn.2026-01.io.example:b", "allow_any_host": true, "namespaces": [ { "memory": "1MiB" } ] }
  ] })";

Config config_of(const std::string& text) {
  Result result = parse(text, "test.json");
  REQUIRE(result.config.has_value());
  return *result.config;
}

// kBefore with `from` replaced by `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kBefore;
  const size_t place = text.find(from);
  REQUIRE(place != std::string::npos);
  return text.replace(place, from.size(), to);
}

Lines changes(const std::string& after) {
  const Config running = config_of(kBefore);
  const Config wanted = config_of(after);
  const Difference difference = diff(running, wanted);
  CHECK(difference.needs_restart.empty());
  return describe(difference);
}

Lines restarts(const std::string& after) {
  const Config running = config_of(kBefore);
  const Config wanted = config_of(after);
  return diff(running, wanted).needs_restart;
}

TEST_CASE("the same config, and one that looks otherwise only: nothing changes") {
  CHECK(changes(kBefore) == Lines{});
  CHECK(changes(changed("\"ports\": [", "// a comment\n  \"ports\": [\n")) == Lines{});
}

TEST_CASE("each kind of change has its line") {
  const struct {
    const char* from;
    const char* to;
    Lines lines;
  } rows[] = {
      {", { \"nsid\": 2, \"memory\": \"1MiB\" }", "", {"remove namespace 2 of nqn.2026-01.io.example:a"}},
      {"{ \"nsid\": 2, \"memory\": \"1MiB\" }",
       "{ \"nsid\": 2, \"memory\": \"1MiB\" }, { \"nsid\": 3, \"memory\": \"2MiB\" }",
       {"add namespace 3 of nqn.2026-01.io.example:a"}},
      {"\"1MiB\"", "\"2MiB\"", {"replace namespace 2 of nqn.2026-01.io.example:a: memory from \"1 MiB\" to \"2 MiB\""}},
      {"\"/dev/ng0n1\"",
       "\"/dev/ng0n1\", \"p2p\": \"off\"",
       {"change namespace 1 of nqn.2026-01.io.example:a: p2p from its default to \"off\""}},
      {"\"allow_any_host\": true",
       "\"allowed_hosts\": [\"nqn.2026-01.io.example:host\"], \"max_controllers\": 3",
       {"change subsystem nqn.2026-01.io.example:a: allow_any_host from true to false, allowed_hosts with "
        "\"nqn.2026-01.io.example:host\", max_controllers from its default to 3"}},
      {"\"allow_any_host\": true",
       "\"allow_any_host\": true, \"ports\": [2]",
       {"change subsystem nqn.2026-01.io.example:a: ports without 1"}},
      {"\"allow_any_host\": true",
       "\"allow_any_host\": true, \"subsystem_reset\": true",
       {"change subsystem nqn.2026-01.io.example:a: subsystem_reset from false to true"}},
      {"\"allow_any_host\": true",
       "\"allow_any_host\": true, \"permanent_write_protection\": true, \"admin_label\": \"Archive\"",
       {"change subsystem nqn.2026-01.io.example:a: admin_label from its default to \"Archive\", "
        "permanent_write_protection from false to true"}},
      {"192.0.2.2", "192.0.2.3", {"remove port 2 (192.0.2.2, service 4420)", "add port 2 (192.0.2.3, service 4420)"}},
      {"\"192.0.2.2\"", "\"192.0.2.2\", \"dscp\": 26", {"change port 2 (192.0.2.2, service 4420): dscp"}},
      {"example:b",
       "example:c",
       {"remove namespace 1 of nqn.2026-01.io.example:b", "remove subsystem nqn.2026-01.io.example:b",
        "add subsystem nqn.2026-01.io.example:c", "add namespace 1 of nqn.2026-01.io.example:c"}},
      {"\"ports\": [",
       "\"limits\": { \"max_controllers\": 9 }, \"ports\": [",
       {"change limits: max_controllers from its default to 9"}},
      {"\"ports\": [", "\"log_level\": \"debug\", \"ports\": [", {"change log_level from \"info\" to \"debug\""}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.from);
    CAPTURE(row.to);
    CHECK(changes(changed(row.from, row.to)) == row.lines);
  }
}

TEST_CASE("what cannot change while the target runs is said") {
  const char* keys[] = {"\"reactors\": { \"count\": 2 }",
                        "\"rdma\": { \"max_io_queues\": 3 }",
                        "\"admin\": { \"socket\": \"/run/other.sock\" }",
                        "\"admin\": { \"mode\": \"0660\" }",
                        "\"admin\": { \"read_only_socket\": \"/run/watch.sock\" }",
                        "\"log_format\": \"json\"",
                        "\"metrics\": { \"port\": 9100 }"};
  for (const char* key : keys) {
    CAPTURE(key);
    const Lines said = restarts(changed("\"ports\": [", std::string(key) + ", \"ports\": ["));
    REQUIRE(said.size() == 1);
    const std::string name = std::string(key).substr(0, std::string(key).find(':'));
    CHECK(said[0] == name + " takes effect only after a restart");
  }
  const Lines said = restarts(changed("\"allow_any_host\": true", "\"allow_any_host\": true, \"serial\": \"other\""));
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("nqn.2026-01.io.example:a") != std::string::npos);
}

}  // namespace
}  // namespace nvmf::config::test
