// Diagnostics as people and as machines read them.
#include "config/diagnostics.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "config/parse.h"

namespace nvmf::config {
namespace {

TEST_CASE("a machine reads where, what and what instead") {
  const Result result = parse("{\"ports\": [],\n \"subsystems\": [], \"log_levle\": \"info\"}", "a.json");
  const auto all = nlohmann::json::parse(to_json(result.diagnostics));
  REQUIRE(all.size() == 3);
  CHECK(all[0]["severity"] == "warning");
  CHECK(all[2] == nlohmann::json{{"file", "a.json"},
                                 {"line", 2},
                                 {"column", 20},
                                 {"path", "$.log_levle"},
                                 {"severity", "error"},
                                 {"problem", "not a key of the config"},
                                 {"remedy", "did you mean \"log_level\"?"}});
}

TEST_CASE("a change tells only of what it brings, at whatever index the rest is by then") {
  const auto warning = [](const std::string& path, const std::string& problem) {
    return Diagnostic{Severity::warning, "a.json", {}, path, problem, ""};
  };
  const std::vector<Diagnostic> before = {warning("$.subsystems[1]", "old"), warning("$.subsystems[12]", "old")};
  const Diagnostic error = {Severity::error, "a.json", {}, "$.subsystems[0]", "old", ""};
  const std::vector<Diagnostic> brought =
      brought_by_change({warning("$.subsystems[0]", "old"), error, warning("$.subsystems[3]", "new"),
                         warning("$.subsystems[11]", "old"), warning("$.subsystems[13]", "old")},
                        before);
  REQUIRE(brought.size() == 3);
  CHECK(brought[0].severity == Severity::error);
  CHECK(brought[1].problem == "new");
  CHECK(brought[2].path == "$.subsystems[13]");
}

TEST_CASE("a good file is an empty array, and bytes that are no UTF-8 are replaced") {
  CHECK(nlohmann::json::parse(to_json({})).empty());
  const std::vector<Diagnostic> strange = {{Severity::error, "\xff.json", {}, "", "\xfe", ""}};
  CHECK(nlohmann::json::parse(to_json(strange)).size() == 1);
}

}  // namespace
}  // namespace nvmf::config
