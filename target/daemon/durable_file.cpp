#include "target/daemon/durable_file.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace nvmf::daemon {
namespace {

constexpr size_t kWriteBytes = 4096;  // at a time
constexpr char kFreshPrefix[] = ".";
constexpr char kFreshSuffix[] = ".nvmf-p2p-save";

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw std::system_error(errno, std::generic_category(), what + " " + path);
}

// What a group of others may do: no more than everybody.
mode_t without_group(mode_t mode) {
  constexpr mode_t kGroup = S_ISGID | S_IRWXG;
  return (mode & ~kGroup) | (mode & S_IRWXG & ((mode & S_IRWXO) << 3U));
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
  // Who may use the file is decided before anybody else can open it. False: see replace_durably().
  bool give(const FileAccess& access) const {
    const bool given = fchown(fd_, access.owner, access.group) == 0;
    const bool has_group = given || fchown(fd_, static_cast<uid_t>(-1), access.group) == 0;
    if (!has_group && errno != EPERM) fail("cannot change the group of", path_);
    if (fchmod(fd_, has_group ? access.mode : without_group(access.mode)) != 0)
      fail("cannot change the mode of", path_);
    return given;
  }
  void sync() const {
    if (fsync(fd_) != 0) fail("cannot sync", path_);
  }

 private:
  const std::string& path_;
  int fd_;
};

}  // namespace

DurableReplacement::DurableReplacement(std::string path, DurableHook before)
    : path_(std::move(path)), fresh_(fresh_name(path_)), before_(std::move(before)) {}

DurableReplacement::~DurableReplacement() {
  if (!renamed_) unlink(fresh_.c_str());
}

void DurableReplacement::about_to(DurableStep step) const {
  if (before_) before_(step);
}

// What has the name already is a leftover: never written to.
bool DurableReplacement::write(const std::string& content, const FileAccess* access) {
  about_to(DurableStep::Create);
  unlink(fresh_.c_str());
  const Descriptor file(fresh_, O_WRONLY | O_CREAT | O_EXCL);
  for (std::string_view rest = content; !rest.empty();) {
    about_to(DurableStep::Write);
    rest.remove_prefix(file.write(rest.substr(0, kWriteBytes)));
  }
  bool given = true;
  if (access != nullptr) {
    about_to(DurableStep::SetAccess);
    given = file.give(*access);
  }
  about_to(DurableStep::SyncFile);
  file.sync();
  return given;
}

void DurableReplacement::put_in_place() {
  about_to(DurableStep::Rename);
  if (std::rename(fresh_.c_str(), path_.c_str()) != 0) fail("cannot replace", path_);
  renamed_ = true;
  about_to(DurableStep::SyncDirectory);
  sync_directory(std::filesystem::path(path_).parent_path());
}

std::string target_of(const std::string& path) {
  std::filesystem::path target = path;
  if (std::filesystem::is_symlink(target)) target = target.parent_path() / std::filesystem::read_symlink(target);
  return std::filesystem::weakly_canonical(std::filesystem::absolute(target)).string();
}

void sync_directory(const std::string& path) { Descriptor(path, O_RDONLY | O_DIRECTORY).sync(); }

FileAccess access_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) fail("cannot examine", path);
  return {.owner = status.st_uid, .group = status.st_gid, .mode = status.st_mode & 07777U};
}

std::string fresh_name(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.parent_path() / (kFreshPrefix + file.filename().string() + kFreshSuffix)).string();
}

std::string replaced_by(const std::string& fresh) {
  const std::filesystem::path file(fresh);
  const std::string name = file.filename().string();
  if (!name.starts_with(kFreshPrefix) || !name.ends_with(kFreshSuffix)) return {};
  const std::string stem = file.stem().string();
  return (file.parent_path() / stem.substr(sizeof kFreshPrefix - 1)).string();
}

void remove_leftover(const std::string& path) {
  const std::string fresh = fresh_name(path);
  if (unlink(fresh.c_str()) == 0) spdlog::info("removed {}, which a daemon that was killed had not finished", fresh);
}

void remove_leftovers_in(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (std::string file = replaced_by(entry->path().string()); !file.empty()) files.push_back(std::move(file));
  for (const std::string& file : files) remove_leftover(file);
}

void replace_durably(const std::string& path, const std::string& content, const DurableHook& before) {
  DurableReplacement replacement(path, before);
  replacement.write(content, nullptr);
  replacement.put_in_place();
}

bool replace_durably(const std::string& path, const std::string& content, const FileAccess& access,
                     const DurableHook& before) {
  DurableReplacement replacement(path, before);
  const bool given = replacement.write(content, &access);
  replacement.put_in_place();
  return given;
}

}  // namespace nvmf::daemon
