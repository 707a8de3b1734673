#include "target/auth/key_file.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace nvmf::auth {
namespace {

// The longest key is 104 characters.
constexpr size_t kMostBytes = 1024;
// As the package makes it (docker/systemd/sysusers.conf).
constexpr char kServiceUser[] = "nvmf-p2p";

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

bool is_in_credentials_directory(const std::string& path) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory != nullptr && *directory != 0 && path.starts_with(std::string(directory) + "/");
}

constexpr size_t kMostUserBytes = 16384;  // of an entry of the user database

std::string user_name(uid_t uid) {
  std::vector<char> room(kMostUserBytes);
  passwd entry{};
  passwd* user = nullptr;
  getpwuid_r(uid, &entry, room.data(), room.size(), &user);
  return user == nullptr ? std::to_string(uid) : user->pw_name;
}

std::optional<uid_t> user_id(const char* name) {
  std::vector<char> room(kMostUserBytes);
  passwd entry{};
  passwd* user = nullptr;
  getpwnam_r(name, &entry, room.data(), room.size(), &user);
  return user == nullptr ? std::nullopt : std::optional(user->pw_uid);
}

// Whoever owns a file can change who may read it. root reads the keys for the daemon's own user (`nvmf-p2p check`).
bool is_trusted(uid_t owner) {
  if (owner == geteuid() || owner == 0) return true;
  return geteuid() == 0 && owner == user_id(kServiceUser);
}

// A credential is protected by the service manager, by an access control list: its mode shows the list's mask where the
// group's rights are.
void check_access(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) fail(path, "is not a regular file");
  if (!is_trusted(status.st_uid)) {
    const std::string us = user_name(geteuid());
    fail(path, "belongs to the user " + user_name(status.st_uid) + ", who can read and replace the key; only " + us +
                   (us == "root" ? "" : " or root") + " may own it: chown " + us + " " + path);
  }
  const bool credential = is_in_credentials_directory(path);
  if ((status.st_mode & (credential ? 037 : 077)) == 0) return;
  char mode[8];
  std::snprintf(mode, sizeof mode, "0%o", static_cast<unsigned>(status.st_mode & 0777));
  fail(path, std::string("has the mode ") + mode + ", so that others than its owner may use it: chmod " +
                 (credential ? "400 " : "600 ") + path);
}

[[noreturn]] void fail_to_open(const std::string& path) {
  const int error = errno;
  const std::string what = "cannot be opened: " + std::generic_category().message(error);
  if (error != EACCES) fail(path, what);
  const std::string us = user_name(geteuid());
  fail(path, what + ": the user " + us + " must own the file, and be able to enter its directory: chown " + us + " " +
                 path + " && chmod 600 " + path);
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
  if (file.get() < 0 || fstat(file.get(), &status) != 0) fail_to_open(path);
  check_access(path, status);
  const Secret text = content_of(file.get(), path);
  try {
    return DhchapKey::parse({reinterpret_cast<const char*>(text.bytes().data()), text.size()});
  } catch (const BadKey& bad) {
    throw KeyFileError("the key file " + path + ": " + bad.what());
  }
}

void write_key_file(const std::string& path, const DhchapKey& key) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) {
    const char* const remedy = errno == EEXIST ? "; name a file that does not exist yet" : "";
    fail(path, "cannot be created: " + error_text() + remedy);
  }
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
