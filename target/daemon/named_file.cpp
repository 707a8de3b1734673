#include "target/daemon/named_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "target/backend/descriptor.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {
namespace {

const char* name_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFLNK:
      return "a symbolic link";
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFBLK:
    case S_IFCHR:
      return "a device";
    default:
      return "no regular file";
  }
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw std::system_error(errno, std::generic_category(), path + " " + what);
}

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw std::runtime_error(path + " " + reason + ", so it is not replaced: name a file that does not exist yet");
}

std::string beginning_of(const std::string& path) {
  const backend::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
  struct stat status {};
  if (!file.is_open() || fstat(file.get(), &status) != 0) fail(path, "cannot be opened");
  if (!S_ISREG(status.st_mode)) refuse(path, std::string("is ") + name_of(status.st_mode));
  std::array<char, kMarkBytes> beginning{};
  const ssize_t length = read(file.get(), beginning.data(), beginning.size());
  if (length < 0) fail(path, "cannot be read");
  return {beginning.data(), static_cast<size_t>(length)};
}

void check_may_replace(const std::string& path, const NamedFileKind& kind) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) fail(path, "cannot be examined");
    return;
  }
  if (!S_ISREG(status.st_mode)) refuse(path, std::string("is ") + name_of(status.st_mode));
  if (!kind.is_of(beginning_of(path))) refuse(path, std::string("exists and is not a ") + kind.what);
}

}  // namespace

void write_named_file(const std::string& path, const std::string& text, const NamedFileKind& kind) {
  check_may_replace(path, kind);
  constexpr auto kUnchanged = static_cast<uid_t>(-1);
  replace_durably(std::filesystem::absolute(path).string(), text,
                  {.owner = kUnchanged, .group = static_cast<gid_t>(-1), .mode = kind.mode});
}

}  // namespace nvmf::daemon
