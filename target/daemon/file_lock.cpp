#include "target/daemon/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace nvmf::daemon {
namespace {

constexpr std::chrono::milliseconds kRetry{10};

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw std::system_error(errno, std::generic_category(), what + " " + path);
}

// "process 719"; without a number where the holder is in another PID namespace.
std::string holder_of(int fd) {
  struct stat status {};
  std::ifstream locks("/proc/locks");
  if (fstat(fd, &status) == 0) {
    for (std::string line; std::getline(locks, line);) {
      int pid = 0;
      unsigned major_number = 0;
      unsigned minor_number = 0;
      unsigned long long inode = 0;
      if (std::sscanf(line.c_str(), "%*u: FLOCK %*s %*s %d %x:%x:%llu", &pid, &major_number, &minor_number, &inode) ==
              4 &&
          makedev(major_number, minor_number) == status.st_dev && inode == status.st_ino && pid > 0)
        return "process " + std::to_string(pid);
    }
  }
  return "another process";
}

[[noreturn]] void refuse(const std::string& path, int fd) {
  throw std::runtime_error(path + " is in use by " + holder_of(fd) + "; stop it, or name another path");
}

}  // namespace

FileLock::FileLock(const std::string& path, std::chrono::milliseconds patience) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) fail("cannot open", path);
  // Some network file systems lock only what may be written to.
  const int access = S_ISDIR(status.st_mode) ? O_RDONLY : O_RDWR;
  file_ = backend::Descriptor(open(path.c_str(), access | O_CLOEXEC));
  if (!file_.is_open()) fail("cannot open", path);
  take(path, patience);
}

FileLock::FileLock(backend::Descriptor file, const std::string& path, std::chrono::milliseconds patience)
    : file_(std::move(file)) {
  take(path, patience);
}

void FileLock::take(const std::string& path, std::chrono::milliseconds patience) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (flock(file_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    if (std::chrono::steady_clock::now() >= end) refuse(path, file_.get());
    std::this_thread::sleep_for(kRetry);
  }
}

void DirectoryLock::hold(std::chrono::milliseconds patience) {
  const std::lock_guard guard(mutex_);
  struct stat there {};
  struct stat locked {};
  const bool is_same = lock_ && stat(path_.c_str(), &there) == 0 && fstat(lock_->descriptor(), &locked) == 0 &&
                       there.st_dev == locked.st_dev && there.st_ino == locked.st_ino;
  if (is_same) return;
  lock_.reset();
  lock_.emplace(path_, patience);
}

bool DirectoryLock::is_held() const {
  const std::lock_guard guard(mutex_);
  return lock_.has_value();
}

std::shared_ptr<FileLock> ImageLocks::known(const Inode& inode) {
  const std::lock_guard guard(mutex_);
  std::erase_if(locks_, [](const auto& one) { return one.second.expired(); });
  const auto found = locks_.find(inode);
  return found != locks_.end() ? found->second.lock() : nullptr;
}

// Several threads may want one file at the same time: the one that has locked it lets the others know.
std::shared_ptr<FileLock> ImageLocks::lock(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) fail("cannot open", path);
  const Inode inode{status.st_dev, status.st_ino};
  const auto end = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    if (auto lock = known(inode)) return lock;
    try {
      auto lock = std::make_shared<FileLock>(path, std::chrono::milliseconds(0));
      const std::lock_guard guard(mutex_);
      locks_[inode] = lock;
      return lock;
    } catch (const std::system_error&) {
      throw;
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() >= end) throw;
    }
    std::this_thread::sleep_for(kRetry);
  }
}

}  // namespace nvmf::daemon
