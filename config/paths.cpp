#include "config/paths.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "config/characters.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

constexpr size_t kMaxPathBytes = 4095;       // PATH_MAX without the NUL
constexpr size_t kMaxSocketPathBytes = 107;  // sockaddr_un::sun_path without the NUL

// The parts of names such as /dev/nvme0n1p2; a missing part is empty.
struct NvmeName {
  std::string_view controller;
  std::string_view space;
  std::string_view partition;
};

std::string_view take_digits(std::string_view& text) {
  const auto end = std::ranges::find_if_not(text, is_digit);
  const auto digits = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

std::string_view take_numbered(std::string_view& text, char letter) {
  if (!text.starts_with(letter)) return {};
  text.remove_prefix(1);
  return take_digits(text);
}

// Splits `path` if it is `prefix` with a controller number, and perhaps a namespace and a partition.
std::optional<NvmeName> nvme_name(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  NvmeName name;
  name.controller = take_digits(path);
  name.space = take_numbered(path, 'n');
  name.partition = take_numbered(path, 'p');
  if (name.controller.empty() || !path.empty()) return std::nullopt;
  return name;
}

std::optional<NvmeName> block_name(std::string_view path) { return nvme_name(path, "/dev/nvme"); }

std::optional<NvmeName> generic_name(std::string_view path) {
  const auto name = nvme_name(path, "/dev/ng");
  return name && !name->space.empty() && name->partition.empty() ? name : std::nullopt;
}

std::string generic_path(const NvmeName& name) {
  const std::string_view space = name.space.empty() ? "1" : name.space;
  return "/dev/ng" + std::string(name.controller) + 'n' + std::string(space);
}

std::optional<PathFault> check_nvme_device(std::string_view path) {
  const auto name = block_name(path);
  if (!name) return std::nullopt;
  if (name->space.empty()) {
    return PathFault{"an NVMe controller, not one of its namespaces",
                     "write the generic character device, such as " + quote(generic_path(*name))};
  }
  const std::string as_block = "\"block\": " + quote(path);
  if (!name->partition.empty()) return PathFault{"a partition cannot be passed through", "write " + as_block};
  return PathFault{"a block device, but \"nvme\" needs the generic character device",
                   "write " + quote(generic_path(*name)) + ", or " + as_block};
}

std::optional<PathFault> check_block_device(std::string_view path) {
  if (!generic_name(path)) return std::nullopt;
  return PathFault{"a generic character device, but \"block\" needs a block device",
                   "write \"nvme\": " + quote(path) + ", or \"block\": " + quote(device_identity(path))};
}

std::optional<PathFault> check_file(std::string_view path) {
  if (!path.starts_with("/dev/") || path.starts_with("/dev/shm/") || path.starts_with("/dev/hugepages/")) {
    return std::nullopt;
  }
  const std::string key = generic_name(path) ? "nvme" : "block";
  return PathFault{"a device, but \"file\" needs a regular file", "write \"" + key + "\": " + quote(path)};
}

std::optional<PathFault> check_dax_device(std::string_view path) {
  if (!path.starts_with("/dev/pmem") && !nvme_name(path, "/dev/nvme") && !generic_name(path)) return std::nullopt;
  const std::string key = generic_name(path) ? "nvme" : "block";
  return PathFault{"not a device DAX, such as /dev/dax0.0", "write \"" + key + "\": " + quote(path)};
}

std::optional<PathFault> check_socket(std::string_view path) {
  if (path.size() <= kMaxSocketPathBytes) return std::nullopt;
  return PathFault{"a path of " + std::to_string(path.size()) + " bytes",
                   "the path of a UNIX socket has at most " + std::to_string(kMaxSocketPathBytes)};
}

std::optional<PathFault> check_directory(std::string_view path) {
  constexpr std::array<std::string_view, 4> kFleeting = {"/dev/", "/proc/", "/run/", "/sys/"};
  if (std::ranges::none_of(kFleeting, [&](std::string_view root) { return path.starts_with(root); }))
    return std::nullopt;
  return PathFault{quote(path) + " is lost when the machine restarts", "use a directory on a disk"};
}

std::optional<PathFault> check_any(PathRole role, std::string_view path) {
  if (path.empty()) return PathFault{"an empty path", "write an absolute path"};
  if (path.front() != '/') return PathFault{quote(path) + " is not absolute", "start the path with /"};
  if (path.size() > kMaxPathBytes) {
    return PathFault{"a path of " + std::to_string(path.size()) + " bytes",
                     "write at most " + std::to_string(kMaxPathBytes)};
  }
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7F; })) {
    return PathFault{"a control character in the path", "remove it"};
  }
  if (path.back() == '/' && role != PathRole::directory)
    return PathFault{quote(path) + " is a directory", "add the name of a file in it"};
  return std::nullopt;
}

}  // namespace

std::optional<PathFault> check_path(PathRole role, std::string_view path) {
  if (auto fault = check_any(role, path)) return fault;
  const std::string normal = normal_path(path);
  switch (role) {
    case PathRole::nvme_device:
      return check_nvme_device(normal);
    case PathRole::block_device:
      return check_block_device(normal);
    case PathRole::file:
      return check_file(normal);
    case PathRole::dax_device:
      return check_dax_device(normal);
    case PathRole::directory:
      return check_directory(normal);
    case PathRole::key:
      return std::nullopt;
    case PathRole::socket:
      break;
  }
  return check_socket(normal);
}

std::string normal_path(std::string_view path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  if (normal.starts_with("//")) normal.erase(0, 1);
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

std::string device_identity(std::string_view normal_path) {
  const auto name = generic_name(normal_path);
  if (!name) return std::string(normal_path);
  return "/dev/nvme" + std::string(name->controller) + 'n' + std::string(name->space);
}

}  // namespace nvmf::config
