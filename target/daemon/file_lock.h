// Keeps two daemons from using one state directory or one image file: flock(2), which ends with the process.
#pragma once

#include <sys/types.h>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
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
