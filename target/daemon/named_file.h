// A file that a command writes, and whose name a user gave: never what the user would miss.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

namespace nvmf::daemon {

// What kind of file a command writes.
struct NamedFileKind {
  const char* what;  // "backup", for messages
  // Whether a file that begins with this text (kMarkBytes of it, or all) is of the kind.
  std::function<bool(std::string_view beginning)> is_of;
  mode_t mode = 0600;
};
inline constexpr size_t kMarkBytes = 512;

// Writes `text` to the file at `path` as replace_durably() does. Only a path that does not exist, or a regular file of
// that kind, is written to: no device node, FIFO, socket, directory or symbolic link is opened or replaced, and no
// other file. Throws std::runtime_error with a remedy.
void write_named_file(const std::string& path, const std::string& text, const NamedFileKind& kind);

}  // namespace nvmf::daemon
