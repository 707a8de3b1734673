#include "target/backend/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace nvmf::backend {
namespace {

const char* remedy(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "run as root, or give the daemon's user access (group disk, and CAP_SYS_ADMIN for NVMe passthrough)";
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return "check the path, and that the device is plugged in";
    case EBUSY:
      return "another program uses it (is it mounted, or part of a RAID or volume group?)";
    case EROFS:
      return "it is read-only, but a namespace has to be writable";
    default:
      return nullptr;
  }
}

// Says the remedy behind the cause, where std::system_error would have the cause last.
class Failure : public std::system_error {
 public:
  Failure(int error, const std::string& what)
      : std::system_error(error, std::generic_category(), what), text_(std::system_error::what()) {
    if (const char* const advice = remedy(error)) text_ += std::string("; ") + advice;
  }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor open_file(const std::string& path, int flags) {
  Descriptor file(open(path.c_str(), flags | O_CLOEXEC));
  if (!file.is_open()) throw_errno(errno, path, "cannot open");
  return file;
}

Descriptor try_open_alone(const std::string& path, int flags, int& error) {
  constexpr int kTries = 100;
  constexpr useconds_t kPauseUs = 10'000;
  for (int i = 0; i < kTries; ++i) {
    Descriptor file(open(path.c_str(), flags | O_EXCL | O_CLOEXEC));
    error = file.is_open() ? 0 : errno;
    if (error != EBUSY) return file;
    usleep(kPauseUs);
  }
  return Descriptor();
}

Descriptor open_alone(const std::string& path, int flags) {
  int error = 0;
  Descriptor file = try_open_alone(path, flags, error);
  if (error != 0) throw_errno(error, path, "cannot open");
  return file;
}

std::optional<uint64_t> size_of(const Descriptor& file) {
  const off_t end = file.is_open() ? lseek(file.get(), 0, SEEK_END) : -1;
  return end < 0 ? std::nullopt : std::optional<uint64_t>(end);
}

void ignore_access_time(const Descriptor& file) { fcntl(file.get(), F_SETFL, fcntl(file.get(), F_GETFL) | O_NOATIME); }

void throw_errno(int error, const std::string& path, const std::string& what) {
  throw Failure(error, path + ": " + what);
}

void refuse(const std::string& path, const std::string& what) { throw std::runtime_error(path + ": " + what); }

}  // namespace nvmf::backend
