// An open file, and the errors of opening one in an operator's words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace nvmf::backend {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Opens `path` close-on-exec, with the flags of open(2). Throws std::system_error with a remedy.
Descriptor open_file(const std::string& path, int flags);
// Opens a block device exclusively (O_EXCL). The kernel releases a device some time after its last user, so this tries
// for a second.
Descriptor open_alone(const std::string& path, int flags);
// The same, but a failure is an `error` number and a descriptor that is not open.
Descriptor try_open_alone(const std::string& path, int flags, int& error);

// Bytes of a file or a block device as it is now; none when it is not open, or the size is unknown.
std::optional<uint64_t> size_of(const Descriptor& file);

// Reads no longer update the file's access time, if this process may set that: a few instructions less for each.
void ignore_access_time(const Descriptor& file);

// "PATH: what", followed by errno's text and, for common errors, a remedy.
[[noreturn]] void throw_errno(int error, const std::string& path, const std::string& what);
// "PATH: what".
[[noreturn]] void refuse(const std::string& path, const std::string& what);

}  // namespace nvmf::backend
