// From the text of a config file and its drop-ins to a Config, or to everything that is wrong with them.
//
// The format is JSON with // and /* */ comments. Every mistake of the files is reported in one go, sorted by file and
// position (a file that is not JSON has one mistake: the place where it stops being JSON). Nothing here throws anything
// but std::bad_alloc, or looks at the machine: the caller finds out whether a device or an address exists.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/sources.h"

namespace nvmf::config {

// A file beyond this is refused unread, and so are a config file and drop-ins that are longer together.
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

// Parses the files; their names are for messages only.
Result parse(const Sources& sources);
// The same for a config file without drop-ins.
Result parse(std::string_view text, std::string file_name);

// The same for a text that nobody has seen, that of a document which was edited and has no drop-ins: messages name
// objects, no places in it (object_names.h). The positions of the config are forget_positions()'s, edit.h.
Result parse_unseen(const Sources& sources);

// Reads the file at `path` with its drop-ins, and parses them. What is no regular file is not waited for. A file that
// cannot be read is a diagnostic too. `sources`, unless null, gets what was read.
Result load(const std::string& path, Sources* sources = nullptr);
// The same, but "-" is standard input: for commands that read a config once.
Result load_input(const std::string& path);

}  // namespace nvmf::config
