#include "p2p/sysfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

namespace nvmf::p2p {
namespace {

namespace fs = std::filesystem;

bool digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Removes and returns the number, or the one character, that `text` starts with; numbers sort before characters.
std::pair<uint64_t, char> take(std::string_view& text) {
  uint64_t value = 0;
  if (!digit(text.front())) {
    const char c = text.front();
    text.remove_prefix(1);
    return {UINT64_MAX, c};
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return {value, '\0'};
}

bool in_order(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const auto left = take(a);
    const auto right = take(b);
    if (left != right) return left < right;
  }
  return a.size() < b.size();
}

// Of a regular file. Some attributes answer with an error after a part, as the speed of a network interface without a
// link does.
std::string content_of(const fs::path& path) {
  std::string all;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  struct stat status {};
  if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    std::array<char, 4096> piece;
    ssize_t length = 0;
    while (all.size() < Sysfs::kMostReadBytes && (length = read(file, piece.data(), piece.size())) > 0)
      all.append(piece.data(), static_cast<size_t>(length));
  }
  if (file >= 0) close(file);
  return all;
}

std::shared_ptr<const std::map<std::string, FileRights>> read_rights(const fs::path& path) {
  auto rights = std::make_shared<std::map<std::string, FileRights>>();
  std::istringstream file(content_of(path));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    FileRights one;
    std::string of;
    if (words >> std::oct >> one.mode >> std::dec >> one.uid >> one.gid >> one.may_open && words.get() == ' ' &&
        std::getline(words, of))
      (*rights)[of] = one;
  }
  return rights;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace

Sysfs::Sysfs(fs::path root) {
  std::error_code ignored;
  root_ = fs::canonical(root, ignored);
  if (ignored) root_ = std::move(root);
  if (root_ != "/" && fs::is_regular_file(fs::symlink_status(root_ / kRightsFile, ignored)))
    saved_rights_ = read_rights(root_ / kRightsFile);
}

void Sysfs::note(const std::string& path, bool content) const {
  if (asked_ == nullptr) return;
  const auto known = asked_->try_emplace(path, content).first;
  if (content) known->second = true;
}

std::string Sysfs::where(const std::string& path) const { return (root_ / fs::path(path).relative_path()).string(); }

fs::path Sysfs::inside(const std::string& path) const {
  std::error_code error;
  fs::path real = fs::canonical(where(path), error);
  if (error) return {};
  const auto end_of_root = std::ranges::mismatch(root_, real).in1;
  return end_of_root == root_.end() ? real : fs::path();
}

bool Sysfs::exists(const std::string& path) const {
  note(path);
  std::error_code ignored;
  return fs::exists(where(path), ignored);
}

fs::file_type Sysfs::type(const std::string& path) const {
  note(path);
  std::error_code ignored;
  return fs::status(where(path), ignored).type();
}

uint64_t Sysfs::size_bytes(const std::string& path) const {
  note(path);
  std::error_code error;
  const uintmax_t size = fs::file_size(where(path), error);
  return error ? 0 : size;
}

bool Sysfs::may_open(const std::string& path) const {
  const std::optional<FileRights> file = rights(path);
  return file && (who_ ? p2p::may_open(*who_, *file) : file->may_open);
}

std::optional<FileRights> Sysfs::rights(const std::string& path) const {
  note(path);
  if (saved_rights_) {
    const auto found = saved_rights_->find(resolve(path));
    return found == saved_rights_->end() ? std::nullopt : std::optional(found->second);
  }
  struct stat file {};
  if (stat(where(path).c_str(), &file) != 0) return std::nullopt;
  return FileRights{.mode = file.st_mode & 0777U,
                    .uid = file.st_uid,
                    .gid = file.st_gid,
                    .may_open = access(where(path).c_str(), R_OK | W_OK) == 0};
}

std::string Sysfs::text(const std::string& path) const {
  note(path, true);
  const std::string all = content_of(inside(path));
  return trimmed(std::string_view(all).substr(0, all.find('\n')));
}

std::string Sysfs::content(const std::string& path) const {
  note(path, true);
  return content_of(inside(path));
}

std::optional<uint64_t> Sysfs::number(const std::string& path) const {
  const std::string line = text(path);
  std::string_view digits = line;
  const bool hexadecimal = digits.starts_with("0x");
  if (hexadecimal) digits.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc() || end == digits.data()) return std::nullopt;
  return value;
}

std::vector<std::string> Sysfs::list(const std::string& folder) const {
  note(folder);
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(inside(folder), error), end; !error && entry != end && names.size() < kMostNames;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
    note((fs::path(folder) / names.back()).string());
  }
  std::ranges::sort(names, in_order);
  return names;
}

std::optional<uint64_t> Sysfs::inode(const std::string& path) const {
  note(path);
  struct stat file {};
  if (stat(where(path).c_str(), &file) != 0) return std::nullopt;
  return file.st_ino;
}

std::string Sysfs::resolve(const std::string& path) const {
  note(path);
  std::error_code error;
  const fs::path real = fs::canonical(where(path), error);
  if (error) return {};
  return (fs::path("/") / real.lexically_relative(root_)).string();
}

KernelVersion read_kernel_version(const Sysfs& sysfs) {
  KernelVersion version;
  version.release = sysfs.text("/proc/sys/kernel/osrelease");
  if (std::sscanf(version.release.c_str(), "%u.%u", &version.major, &version.minor) != 2) version.major = 0;
  return version;
}

}  // namespace nvmf::p2p
