// Configs with exactly one mistake: a ^ in the text marks where it must be reported.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "config/parse.h"

namespace nvmf::config::test {

struct Broken {
  std::string text;      // with a ^ before the place at fault
  std::string expected;  // PATH: PROBLEM; REMEDY
};

// The position of the ^, counted here once more: lines by \n, columns in UTF-8 characters.
inline Position position_of_mark(std::string_view text) {
  Position position{1, 1};
  for (const char c : text.substr(0, text.find('^'))) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
    if (c == '\n') position = {position.line + 1, 0};
    if (!continues) ++position.column;
  }
  return position;
}

inline std::string without_mark(std::string text) {
  text.erase(text.find('^'), 1);
  return text;
}

inline std::string words_of(const Diagnostic& diagnostic) {
  return diagnostic.path + ": " + diagnostic.problem + (diagnostic.remedy.empty() ? "" : "; " + diagnostic.remedy);
}

inline void check_only(const Broken& broken, Severity severity) {
  CAPTURE(broken.text);
  REQUIRE(broken.text.find('^') != std::string::npos);
  const Result result = parse(without_mark(broken.text), "test.json");
  REQUIRE(!result.diagnostics.empty());
  const Diagnostic& first = result.diagnostics.front();
  const Position position = position_of_mark(broken.text);
  CHECK(words_of(first) == broken.expected);
  CHECK(first.position.line == position.line);
  CHECK(first.position.column == position.column);
  CHECK(first.file == "test.json");
  CHECK((first.severity == severity));
  CHECK(result.config.has_value() == (severity == Severity::warning));
  CHECK(result.diagnostics.size() == 1);
}

// Whole configs around one part that a test is about.
inline std::string with_top(const std::string& members) {
  return "{\n  \"ports\": [{\"id\": 1, \"address\": \"10.0.0.1\"}],\n  \"subsystems\": [{\"nqn\": "
         "\"nqn.2026-01.io.example:a\", \"allow_any_host\": true,\n    \"namespaces\": [{\"memory\": 512}]}],\n  " +
         members + "\n}\n";
}

inline std::string with_port(const std::string& port) {
  return "{\n  \"ports\": [" + port +
         "],\n  \"subsystems\": [{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true,\n    "
         "\"namespaces\": [{\"memory\": 512}]}]\n}\n";
}

inline std::string with_subsystems(const std::string& subsystems) {
  return "{\n  \"ports\": [{\"id\": 1, \"address\": \"10.0.0.1\"}],\n  \"subsystems\": [" + subsystems + "]\n}\n";
}

inline std::string with_namespaces(const std::string& namespaces) {
  return with_subsystems("{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true,\n    \"namespaces\": [" +
                         namespaces + "]}");
}

}  // namespace nvmf::config::test
