// From the text of a config file to a Config, or to everything that is wrong with it.
//
// The format is JSON with // and /* */ comments. Every mistake of a file is reported in one go, sorted by position (a
// file that is not JSON has one mistake: the place where it stops being JSON). Nothing here throws anything but
// std::bad_alloc, or looks at the machine: the caller finds out whether a device or an address exists.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"

namespace nvmf::config {

// A file beyond this is refused unread.
inline constexpr size_t kMaxFileBytes = 4U << 20;
// How deep objects and arrays may nest; the format needs 5.
inline constexpr size_t kMaxDepth = 32;
// A file with more mistakes gets this many diagnostics and one that says how many more there are.
inline constexpr size_t kMaxDiagnostics = 200;

// Either a config (perhaps with warnings) or no config and at least one error.
struct Result {
  std::optional<Config> config;
  std::vector<Diagnostic> diagnostics;

  explicit operator bool() const { return config.has_value(); }
};

// Parses `text`; `file_name` is for messages only.
Result parse(std::string_view text, std::string file_name);

// Reads the file at `path`, or standard input for "-", and parses it. What is no regular file is not waited for. A file
// that cannot be read is a diagnostic too. `content`, unless null, gets the content of the file.
Result load(const std::string& path, std::string* content = nullptr);

}  // namespace nvmf::config
