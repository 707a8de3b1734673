#include "config/diagnostics.h"

namespace nvmf::config {

std::string location(const std::string& file, Position position) {
  if (position.line == 0) return file;
  return file + ':' + std::to_string(position.line) + ':' + std::to_string(position.column);
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string line = location(diagnostic.file, diagnostic.position);
  line += diagnostic.severity == Severity::error ? ": error: " : ": warning: ";
  if (!diagnostic.path.empty()) line += diagnostic.path + ": ";
  line += diagnostic.problem;
  if (!diagnostic.remedy.empty()) line += "; " + diagnostic.remedy;
  return line;
}

}  // namespace nvmf::config
