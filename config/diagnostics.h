// What is wrong with a config file, in words with which the operator can correct it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"

namespace nvmf::config {

enum class Severity : uint8_t {
  error,    // The file cannot be used.
  warning,  // Legal, but probably not intended.
};

// One mistake at one place.
struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;   // The name given to parse(), or that of a drop-in; empty after parse_unseen().
  Position position;  // 0:0 when the mistake concerns the file as a whole (it cannot be read).
  // JSON path of the value at fault: "$.subsystems[0].namespaces[1].p2p"; after parse_unseen() "namespace 2 of NQN:
  // p2p".
  std::string path;
  std::string problem;  // What is wrong.
  std::string remedy;   // What would be right; may be empty.
};

// «config.json:14:19», or «config.json» for a position that is not in the file.
std::string location(const std::string& file, Position position);
// The same of a position in a file of `config`.
std::string location(const Config& config, Position position);

// The path, in its file, of the subsystem with that index in the config: «$.subsystems[0]».
std::string path_of_subsystem(const Config& config, size_t index);

// Errors, and the warnings that a change brings: without those that were there `before`, at whatever index.
std::vector<Diagnostic> brought_by_change(const std::vector<Diagnostic>& after, const std::vector<Diagnostic>& before);

// One line that is safe to print: «config.json:14:19: error: $.ports[0].id: PROBLEM; REMEDY».
std::string to_string(const Diagnostic& diagnostic);

// A JSON array with an object for each: "file", "line", "column", "path", "severity" ("error" or "warning"), "problem",
// "remedy". Without a position, line and column are 0; a missing text is empty. In ASCII, which is safe to print.
std::string to_json(const std::vector<Diagnostic>& diagnostics);

}  // namespace nvmf::config
