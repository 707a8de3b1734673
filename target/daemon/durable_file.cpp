#include "target/daemon/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace nvmf::daemon {
namespace {

constexpr size_t kWriteBytes = 4096;  // at a time

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw std::system_error(errno, std::generic_category(), what + " " + path);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : path_(path), fd_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) fail("cannot open", path);
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  size_t write(std::string_view piece) const {
    const ssize_t written = ::write(fd_, piece.data(), piece.size());
    if (written < 0 && errno != EINTR) fail("cannot write", path_);
    return written < 0 ? 0 : static_cast<size_t>(written);
  }
  void sync() const {
    if (fsync(fd_) != 0) fail("cannot sync", path_);
  }

 private:
  const std::string& path_;
  int fd_;
};

}  // namespace

void sync_directory(const std::string& path) { Descriptor(path, O_RDONLY | O_DIRECTORY).sync(); }

void replace_durably(const std::string& path, const std::string& content, const DurableHook& before) {
  const auto about_to = [&](DurableStep step) {
    if (before) before(step);
  };
  const std::string fresh = path + ".new";
  {
    about_to(DurableStep::Create);
    const Descriptor file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    for (std::string_view rest = content; !rest.empty();) {
      about_to(DurableStep::Write);
      rest.remove_prefix(file.write(rest.substr(0, kWriteBytes)));
    }
    about_to(DurableStep::SyncFile);
    file.sync();
  }
  about_to(DurableStep::Rename);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) fail("cannot replace", path);
  about_to(DurableStep::SyncDirectory);
  sync_directory(std::filesystem::path(path).parent_path());
}

}  // namespace nvmf::daemon
