#include "target/daemon/cli/roff.h"

#include <algorithm>
#include <cctype>

namespace nvmf::cli {
namespace {

// The day on which the text of the pages besides commands and keys last changed.
constexpr char kDate[] = "2026-11-30";

}  // namespace

std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\')
      escaped += "\\e";
    else if (c == '-')
      escaped += "\\-";
    else
      escaped += c;
  }
  const bool is_request = escaped.starts_with('.') || escaped.starts_with('\'');
  return is_request ? "\\&" + escaped : escaped;
}

std::string title_line(std::string name, int section, const std::string& source) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return ".TH " + roff(name) + " " + std::to_string(section) + " " + kDate + " \"" + source + "\"\n";
}

}  // namespace nvmf::cli
