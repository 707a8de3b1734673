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

TEST_CASE("a good file is an empty array, and bytes that are no UTF-8 are replaced") {
  CHECK(nlohmann::json::parse(to_json({})).empty());
  const std::vector<Diagnostic> strange = {{Severity::error, "\xff.json", {}, "", "\xfe", ""}};
  CHECK(nlohmann::json::parse(to_json(strange)).size() == 1);
}

}  // namespace
}  // namespace nvmf::config
