// What a test sees of an import, and the saved configs of other targets that are its samples.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/import.h"
#include "config/write.h"

namespace nvmf::config::test {

inline std::string sample(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::filesystem::path(CORPUS_DIR) / name).rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

inline std::vector<std::string> said(const Result& result) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : result.diagnostics) lines.push_back(to_string(diagnostic));
  return lines;
}

inline Config imported(const Result& result) {
  REQUIRE(result.config.has_value());
  const Result again = parse(write(*result.config), "imported.json");
  REQUIRE(again.config.has_value());
  return *again.config;
}

inline const Subsystem& subsystem(const Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.subsystems, "nqn.2026-01.io.example:" + name, &Subsystem::nqn);
  REQUIRE(found != config.subsystems.end());
  return *found;
}

// Says which line is missing or too many, where CHECK(a == b) of two vectors would not.
inline void check_lines(const std::vector<std::string>& lines, const std::vector<std::string>& wanted) {
  for (size_t i = 0; i < std::max(lines.size(), wanted.size()); ++i) {
    CAPTURE(i);
    CHECK((i < lines.size() ? lines[i] : "nothing more") == (i < wanted.size() ? wanted[i] : "nothing more"));
  }
}

inline bool is_said(const ImportResult& result, const std::string& what) {
  return std::ranges::any_of(said(result),
                             [&](const std::string& line) { return line.find(what) != std::string::npos; });
}

}  // namespace nvmf::config::test
