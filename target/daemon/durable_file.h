// Replaces a file so that a crash or a power loss at any moment leaves the old content or the new one, and after the
// call has returned, the new one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace nvmf::daemon {

// The system calls in their order; a test is told of each before it is made.
enum class DurableStep { Create, Write, SetAccess, SyncFile, Rename, SyncDirectory };
using DurableHook = std::function<void(DurableStep)>;

// Whose a file is, and who may use it.
struct FileAccess {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0600;
};

// Of the file at `path`. Throws std::system_error.
FileAccess access_of(const std::string& path);

// Writes beside `path` (PATH.new), and renames over it. Throws std::system_error that names the failed call; the file
// then has the old or the new content, and nothing is left beside it. One writer at a time. A file of mode 0600 of this
// process's user; `before` is for tests.
void replace_durably(const std::string& path, const std::string& content, const DurableHook& before = {});

// The same with the given access, from the moment that the content is there. False: this process may not give files to
// that owner or group, so the file is its own.
bool replace_durably(const std::string& path, const std::string& content, const FileAccess& access,
                     const DurableHook& before = {});

// Removes what a process that died within replace_durably(path) left. Never throws.
void remove_leftover(const std::string& path);

// Makes the entries of a directory durable. Throws std::system_error.
void sync_directory(const std::string& path);

}  // namespace nvmf::daemon
