#include "config/file_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace nvmf::config {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::FILE* open_regular(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  if (fstat(descriptor, &status) == 0 && !S_ISREG(status.st_mode)) {
    close(descriptor);
    errno = S_ISDIR(status.st_mode) ? EISDIR : ENXIO;
    return nullptr;
  }
  return fdopen(descriptor, "rb");
}

std::FILE* open_copy(int original) {
  const int descriptor = fcntl(original, F_DUPFD_CLOEXEC, 0);
  return descriptor < 0 ? nullptr : fdopen(descriptor, "rb");
}

int read_all(std::FILE* opened, std::string& text, size_t most_bytes) {
  const std::unique_ptr<std::FILE, CloseFile> file(opened);
  if (!file) return errno;
  std::array<char, 65536> block{};
  while (text.size() <= most_bytes) {
    const size_t length = std::fread(block.data(), 1, block.size(), file.get());
    if (length == 0) return std::ferror(file.get()) != 0 ? errno : 0;
    text.append(block.data(), length);
  }
  return EFBIG;
}

}  // namespace

int read_file(const std::string& path, std::string& text, size_t most_bytes) {
  return read_all(open_regular(path), text, most_bytes);
}

int read_input(const std::string& path, std::string& text, size_t most_bytes) {
  return path == "-" || path == "/dev/stdin" ? read_open_file(STDIN_FILENO, text, most_bytes)
                                             : read_file(path, text, most_bytes);
}

int read_open_file(int descriptor, std::string& text, size_t most_bytes) {
  return read_all(open_copy(descriptor), text, most_bytes);
}

std::string reading_error(int error, size_t most_bytes) {
  if (error == ENXIO) return "this is no regular file";
  if (error == EFBIG) return "the file is longer than " + std::to_string(most_bytes >> 20U) + " MiB";
  return std::generic_category().message(error);
}

}  // namespace nvmf::config
