// A config as files: the config file, and its drop-ins.
//
// Drop-ins are the files *.json of the directory conf.d beside the config file, in the order of their names (byte by
// byte). Each has some subsystems, and nothing else. Files whose name begins with a dot or ends otherwise are no
// drop-ins. A link to the config file is not followed to find the directory: it is beside the path that was given.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nvmf::config {

inline constexpr size_t kMaxDropIns = 1024;

// A file by its name in messages.
struct SourceFile {
  std::string name;
  std::string text;

  friend bool operator==(const SourceFile&, const SourceFile&) = default;
};

struct Sources {
  SourceFile file;
  std::vector<SourceFile> drop_ins{};  // in the order in which they are read
};

// The directory of the drop-ins of the config file at `path`.
std::string drop_in_directory(const std::string& path);
// Whether a file of that directory is a drop-in, by its name.
bool names_drop_in(std::string_view name);
// The config file that a file at `path` would be a drop-in of, as far as its path tells: the directory that has it;
// empty when a file of this path is no drop-in.
std::string directory_with_drop_in(const std::string& path);

// A file or directory that cannot be read, and what would help.
struct SourceFault {
  std::string name;
  std::string problem;
  std::string remedy;
};

// Of a config that has more than kMaxFileBytes (parse.h) or kMaxDropIns: the first file beyond.
std::optional<SourceFault> beyond_bounds(const Sources& sources);

// Reads the config file at `path`, and when that could be read, its drop-ins. Returns what could not be read; a drop-in
// that could not is not in `sources`. A directory of drop-ins that does not exist has none; one that a stranger may
// have made is refused.
std::vector<SourceFault> read_sources(const std::string& path, Sources& sources);
// The same for what a command was given: "-" is standard input, which has no drop-ins.
std::vector<SourceFault> read_input_sources(const std::string& path, Sources& sources);

}  // namespace nvmf::config
