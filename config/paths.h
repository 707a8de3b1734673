// Rules for the paths of a config, and which paths name the same device.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nvmf::config {

enum class PathRole {
  nvme_device,  // Generic character device of an NVMe namespace.
  block_device,
  file,
  dax_device,  // Character device of memory, such as /dev/dax0.0.
  key,         // File with a key for authentication.
  socket,      // UNIX socket that the daemon creates.
  directory,   // Directory of the daemon's files, which it creates when it is missing.
};

struct PathFault {
  std::string problem;
  std::string remedy;
};

// Why `path` is unfit for `role`, judged by its name alone, without looking at the machine.
std::optional<PathFault> check_path(PathRole role, std::string_view path);

// `path` without «//», «/./» and «/../».
std::string normal_path(std::string_view path);

// The same for two normal paths that name one device: /dev/ng0n1 is /dev/nvme0n1.
std::string device_identity(std::string_view normal_path);

}  // namespace nvmf::config
