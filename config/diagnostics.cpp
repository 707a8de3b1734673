#include "config/diagnostics.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "config/printable.h"

namespace nvmf::config {

std::string location(const std::string& file, Position position) {
  if (position.line == 0) return file;
  return file + ':' + std::to_string(position.line) + ':' + std::to_string(position.column);
}

std::string location(const Config& config, Position position) { return location(file_of(config, position), position); }

std::string path_of_subsystem(const Config& config, size_t index) {
  const uint32_t file = config.subsystems[index].position.file;
  const auto end = config.subsystems.begin() + static_cast<std::ptrdiff_t>(index);
  const auto before =
      std::count_if(config.subsystems.begin(), end, [file](const Subsystem& one) { return one.position.file == file; });
  return "$.subsystems[" + std::to_string(before) + "]";
}

std::vector<Diagnostic> brought_by_change(const std::vector<Diagnostic>& after, const std::vector<Diagnostic>& before) {
  const auto subject_of = [](const Diagnostic& one) {
    std::string path = one.path;
    std::erase_if(path, [](char c) { return c >= '0' && c <= '9'; });
    return std::tuple(path, one.problem, one.remedy);
  };
  std::multiset<decltype(subject_of(after.front()))> known;
  for (const Diagnostic& one : before)
    if (one.severity == Severity::warning) known.insert(subject_of(one));
  std::vector<Diagnostic> brought;
  for (const Diagnostic& one : after) {
    const auto found = one.severity == Severity::warning ? known.find(subject_of(one)) : known.end();
    if (found == known.end())
      brought.push_back(one);
    else
      known.erase(found);
  }
  return brought;
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string line = location(diagnostic.file, diagnostic.position);
  if (!line.empty()) line += ": ";
  line += diagnostic.severity == Severity::error ? "error: " : "warning: ";
  if (!diagnostic.path.empty()) line += diagnostic.path + ": ";
  line += diagnostic.problem;
  if (!diagnostic.remedy.empty()) line += "; " + diagnostic.remedy;
  return printable(line);
}

std::string to_json(const std::vector<Diagnostic>& diagnostics) {
  using Json = nlohmann::ordered_json;
  Json array = Json::array();
  for (const Diagnostic& one : diagnostics) {
    array.push_back({{"file", one.file},
                     {"line", one.position.line},
                     {"column", one.position.column},
                     {"path", one.path},
                     {"severity", one.severity == Severity::error ? "error" : "warning"},
                     {"problem", one.problem},
                     {"remedy", one.remedy}});
  }
  return array.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

}  // namespace nvmf::config
