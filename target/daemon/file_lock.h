// Keeps two daemons from using one state directory or one image file: flock(2), which ends with the process.
#pragma once

#include <sys/types.h>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "target/backend/descriptor.h"

namespace nvmf::daemon {

class FileLock {
 public:
  // A daemon that stops lets go of its locks soon.
  static constexpr std::chrono::milliseconds kPatience{1000};

  // Of a file or a directory. Throws std::runtime_error that names the holder where another open file keeps the lock
  // for that long, std::system_error where the path cannot be opened. A file system without locks is used without one.
  explicit FileLock(const std::string& path, std::chrono::milliseconds patience = kPatience);
  // The same for a file that is open already; `path` is for messages.
  FileLock(backend::Descriptor file, const std::string& path, std::chrono::milliseconds patience = kPatience);

  int descriptor() const { return file_.get(); }

 private:
  void take(const std::string& path, std::chrono::milliseconds patience) const;

  backend::Descriptor file_;
};

// The lock of a directory that may come late, or be removed and made again: whoever writes there calls hold() before.
// Any thread.
class DirectoryLock {
 public:
  explicit DirectoryLock(std::string path) : path_(std::move(path)) {}

  // Locks the directory that is there now, unless it is locked already. Throws as FileLock does.
  void hold(std::chrono::milliseconds patience = std::chrono::milliseconds(0));
  bool is_held() const;

 private:
  const std::string path_;
  mutable std::mutex mutex_;
  std::optional<FileLock> lock_;
};

// The locks of image files. This daemon may serve one file as several namespaces: they share its lock. Any thread.
class ImageLocks {
 public:
  explicit ImageLocks(std::chrono::milliseconds patience = FileLock::kPatience) : patience_(patience) {}

  // Throws as FileLock does.
  std::shared_ptr<FileLock> lock(const std::string& path);

 private:
  using Inode = std::pair<dev_t, ino_t>;

  std::shared_ptr<FileLock> known(const Inode& inode);

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::map<Inode, std::weak_ptr<FileLock>> locks_;
};

}  // namespace nvmf::daemon
