// Reads files that an operator or the daemon has written, whole and with a bound.
#pragma once

#include <string>

namespace nvmf::config {

// Appends the regular file at `path` to `text`. Returns 0, or an errno: ENXIO when `path` is neither a regular file nor
// a directory (a FIFO whose writer never comes is not waited for), EFBIG when it is longer than kMaxFileBytes.
int read_file(const std::string& path, std::string& text);
// The same for what a command was given: "-" is standard input, which may be a pipe.
int read_input(const std::string& path, std::string& text);

// What an errno of these functions means.
std::string reading_error(int error);

}  // namespace nvmf::config
