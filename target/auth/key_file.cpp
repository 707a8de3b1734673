#include "target/auth/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace nvmf::auth {
namespace {

// The longest key is 104 characters.
constexpr size_t kMostBytes = 1024;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw KeyFileError("the key file " + path + " " + what);
}

std::string error_text() { return std::generic_category().message(errno); }

bool is_credential(const std::string& name) { return name.find('/') == std::string::npos; }

// The service manager protects credentials itself, by an access control list.
void check_access(const std::string& path, const struct stat& status, bool credential) {
  if (!S_ISREG(status.st_mode)) fail(path, "is not a regular file");
  if (credential || (status.st_mode & 077) == 0) return;
  char mode[8];
  std::snprintf(mode, sizeof mode, "0%o", static_cast<unsigned>(status.st_mode & 0777));
  fail(path, std::string("has the mode ") + mode + ", so that others than its owner may use it: chmod 600 " + path);
}

Secret content_of(int fd, const std::string& path) {
  Secret text(kMostBytes + 1);
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = read(fd, text.bytes().data() + filled, text.size() - filled);
    if (got < 0) fail(path, "cannot be read: " + error_text());
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled > kMostBytes) fail(path, "is too long for a key");
  text.shrink(filled);
  return text;
}

void write_all(int fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) fail(path, "cannot be written: " + error_text());
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

std::string path_of_key(const std::string& name) {
  if (!is_credential(name)) return name;
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr)
    throw KeyFileError("the key \"" + name +
                       "\" is a credential of the service manager, and there is no $CREDENTIALS_DIRECTORY: add "
                       "LoadCredential= to the service, or give the absolute path of a file");
  return std::string(directory) + "/" + name;
}

std::shared_ptr<const DhchapKey> read_key_file(const std::string& name) {
  const std::string path = path_of_key(name);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) fail(path, "cannot be opened: " + error_text());
  check_access(path, status, is_credential(name));
  const Secret text = content_of(file.get(), path);
  try {
    return DhchapKey::parse({reinterpret_cast<const char*>(text.bytes().data()), text.size()});
  } catch (const BadKey& bad) {
    throw KeyFileError("the key file " + path + ": " + bad.what());
  }
}

void write_key_file(const std::string& path, const DhchapKey& key) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) fail(path, "cannot be created: " + error_text());
  const Secret text = key.text();
  try {
    write_all(file.get(), path, {reinterpret_cast<const char*>(text.bytes().data()), text.size()});
    write_all(file.get(), path, "\n");
    if (fsync(file.get()) != 0) fail(path, "cannot be written: " + error_text());
  } catch (const KeyFileError&) {
    unlink(path.c_str());
    throw;
  }
}

}  // namespace nvmf::auth
