// Whatever the file contains, there is an answer: a config, or at least one error with a position in the text.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include "config/parse.h"

namespace nvmf::config {
namespace {

constexpr std::string_view kConfig = R"({ // ä
  "log_level": "info", "reactors": { "cores": [2, 3] }, "rdma": { "mdts_bytes": 1048576 },
  "ports": [ { "id": 1, "address": "10.0.0.1", "service": 4420 }, { "id": 2, "address": "fd00::1" } ],
  "subsystems": [ {
    "nqn": "nqn.2026-01.io.example:dïsk\u00311", "ports": [1, 2], "allow_any_host": true, /* any */
    "namespaces": [
      { "nvme": "/dev/ng0n1", "p2p": "prefer", "p2p_min_bytes": 4096, "p2p_provider": "0000:3b:00.0" },
      { "memory": "64MiB", "block_size": 4096, "uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21" }
    ] } ]
})";

void check_answer(std::string_view text) {
  const Result result = parse(text, "test.json");
  const bool has_error = std::ranges::any_of(
      result.diagnostics, [](const Diagnostic& diagnostic) { return diagnostic.severity == Severity::error; });
  const auto lines = static_cast<uint32_t>(std::ranges::count(text, '\n')) + 1;
  const bool placed = std::ranges::all_of(result.diagnostics, [&](const Diagnostic& diagnostic) {
    const Position position = diagnostic.position;
    return position.line >= 1 && position.line <= lines && position.column >= 1 && position.column <= text.size() + 1;
  });
  const bool answered = result.config.has_value() != has_error && placed;
  if (!answered) FAIL("no answer to: " << text);
}

TEST_CASE("the text that is broken here is a good one") {
  const Result result = parse(kConfig, "test.json");
  CHECK(result.config.has_value());
  CHECK(result.diagnostics.empty());
}

TEST_CASE("every beginning of a config has an error, and so has every end") {
  for (size_t length = 0; length < kConfig.size(); ++length) {
    check_answer(kConfig.substr(0, length));
    check_answer(kConfig.substr(length));
    CHECK_FALSE(parse(kConfig.substr(0, length), "test.json").config.has_value());
  }
}

TEST_CASE("a config with any byte lost, doubled or replaced is answered") {
  constexpr std::string_view replacements("\0\n\"\\{}[],:/*#'0aE-\x80\xC3\xFF", 21);
  for (size_t i = 0; i < kConfig.size(); ++i) {
    check_answer(std::string(kConfig).erase(i, 1));
    check_answer(std::string(kConfig).insert(i, 1, kConfig[i]));
    for (const char replacement : replacements) check_answer(std::string(kConfig).replace(i, 1, 1, replacement));
  }
}

TEST_CASE("random bytes are answered") {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same bytes every time
  std::uniform_int_distribution<int> byte(0, 255);
  std::uniform_int_distribution<size_t> length(0, 200);
  for (int i = 0; i < 5000; ++i) {
    std::string text(length(random), ' ');
    std::ranges::generate(text, [&] { return static_cast<char>(byte(random)); });
    check_answer(text);
  }
}

TEST_CASE("random texts of JSON's tokens are answered") {
  constexpr std::string_view tokens[] = {
      "{",  "}",  "[",     "]",    ",",    ":",        "\"ports\"",      "\"subsystems\"", "\"id\"", "1",
      "-1", "0",  "1.5e3", "true", "null", "\"nvme\"", "\"/dev/ng0n1\"", "\"p2p\"",        " ",      "\n",
      "//", "/*", "*/",    "\"",   "\\",   "x",        "\"namespaces\"", "\"memory\"",     "=",      "'"};
  std::mt19937 random(2);  // NOLINT(cert-msc51-cpp)
  std::uniform_int_distribution<size_t> token(0, std::size(tokens) - 1);
  for (int i = 0; i < 20000; ++i) {
    std::string text = "{";
    for (int j = 0; j < 30; ++j) text += tokens[token(random)];
    check_answer(text);
  }
}

}  // namespace
}  // namespace nvmf::config
