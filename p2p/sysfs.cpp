#include "p2p/sysfs.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
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
}

std::string Sysfs::where(const std::string& path) const { return (root_ / fs::path(path).relative_path()).string(); }

bool Sysfs::exists(const std::string& path) const {
  std::error_code ignored;
  return fs::exists(where(path), ignored);
}

fs::file_type Sysfs::type(const std::string& path) const {
  std::error_code ignored;
  return fs::status(where(path), ignored).type();
}

uint64_t Sysfs::size_bytes(const std::string& path) const {
  std::error_code error;
  const uintmax_t size = fs::file_size(where(path), error);
  return error ? 0 : size;
}

bool Sysfs::may_open(const std::string& path) const { return access(where(path).c_str(), R_OK | W_OK) == 0; }

std::string Sysfs::text(const std::string& path) const {
  std::ifstream file(where(path));
  std::string line;
  std::getline(file, line);
  return trimmed(line);
}

std::string Sysfs::content(const std::string& path) const {
  std::ifstream file(where(path), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
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
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(where(folder), error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::ranges::sort(names, in_order);
  return names;
}

std::string Sysfs::resolve(const std::string& path) const {
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
