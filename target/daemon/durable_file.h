// Replaces a file so that a crash or a power loss at any moment leaves the old content or the new one, and after the
// call has returned, the new one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace nvmf::daemon {

// The system calls in their order; a test is told of each before it is made.
enum class DurableStep { Create, Write, SetAccess, SyncFile, Rename, SyncDirectory, Remove };
using DurableHook = std::function<void(DurableStep)>;

// Whose a file is, and who may use it.
struct FileAccess {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0600;
};

// Of the file at `path`. Throws std::system_error.
FileAccess access_of(const std::string& path);

// Writes beside `path` (see fresh_name()), and renames over it. Throws std::system_error that names the failed call;
// the file then has the old or the new content, and nothing is left beside it. One writer at a time. A file of mode
// 0600 of this process's user; `before` is for tests.
void replace_durably(const std::string& path, const std::string& content, const DurableHook& before = {});

// The same with the given access, from the moment that the content is there. False: this process may not give files to
// that owner or group, so the file is its own; where it is of another group, that group has no more rights than
// everybody has.
bool replace_durably(const std::string& path, const std::string& content, const FileAccess& access,
                     const DurableHook& before = {});

// replace_durably() in two steps, so that several files are replaced when the contents of all are on the disk.
class DurableReplacement {
 public:
  explicit DurableReplacement(std::string path, DurableHook before = {});
  // Removes what was written and not put in place.
  ~DurableReplacement();
  DurableReplacement(const DurableReplacement&) = delete;
  DurableReplacement& operator=(const DurableReplacement&) = delete;

  // Writes beside the path. `access`, unless null, and the result: as for replace_durably(). Throws std::system_error.
  bool write(const std::string& content, const FileAccess* access);
  // Once, after write(). Throws std::system_error.
  void put_in_place();

 private:
  void about_to(DurableStep step) const;

  const std::string path_;
  const std::string fresh_;
  const DurableHook before_;
  bool renamed_ = false;
};

// The file that replace_durably(path) writes and renames: a hidden one, of a name that nobody else gives a file.
std::string fresh_name(const std::string& path);
// The `path` of which `fresh` is the fresh_name(); empty: of none.
std::string replaced_by(const std::string& fresh);

// Removes what a process that died within replace_durably(path) left, and logs it. Never throws.
void remove_leftover(const std::string& path);

// The same for every file of a directory, those included that are gone.
void remove_leftovers_in(const std::string& directory);

// Where a path leads: a symbolic link stays when the file is replaced. The file may be missing.
std::string target_of(const std::string& path);

// Makes the entries of a directory durable. Throws std::system_error.
void sync_directory(const std::string& path);

}  // namespace nvmf::daemon
