// Replaces a file so that a crash or a power loss at any moment leaves the old content or the new one, and after the
// call has returned, the new one.
#pragma once

#include <functional>
#include <string>

namespace nvmf::daemon {

// The system calls in their order; a test is told of each before it is made.
enum class DurableStep { Create, Write, SyncFile, Rename, SyncDirectory };
using DurableHook = std::function<void(DurableStep)>;

// Writes beside `path` (PATH.new), and renames over it. Throws std::system_error that names the failed call; the file
// then has the old or the new content. One writer at a time. `before` is for tests.
void replace_durably(const std::string& path, const std::string& content, const DurableHook& before = {});

// Makes the entries of a directory durable. Throws std::system_error.
void sync_directory(const std::string& path);

}  // namespace nvmf::daemon
