// Reads files that an operator or the daemon has written, whole and with a bound.
#pragma once

#include <cstddef>
#include <string>

#include "config/parse.h"

namespace nvmf::config {

// Appends the regular file at `path` to `text`. Returns 0, or an errno: ENXIO when `path` is neither a regular file nor
// a directory (a FIFO whose writer never comes is not waited for), EFBIG when it is longer than `most_bytes`.
int read_file(const std::string& path, std::string& text, size_t most_bytes = kMaxFileBytes);
// The same for what a command was given: "-" is standard input, which may be a pipe.
int read_input(const std::string& path, std::string& text, size_t most_bytes = kMaxFileBytes);
// The same for a file that is open already, from where it stands; the descriptor stays open.
int read_open_file(int descriptor, std::string& text, size_t most_bytes = kMaxFileBytes);

// What an errno of these functions means.
std::string reading_error(int error, size_t most_bytes = kMaxFileBytes);

}  // namespace nvmf::config
