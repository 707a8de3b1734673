// What the paths of a config look like, and which of them name the same device.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nvmf::config {

enum class PathRole {
  nvme_device,  // Generic character device of an NVMe namespace.
  block_device,
  file,
  socket,     // UNIX socket that the daemon makes.
  directory,  // That the daemon keeps files in, and makes where there is none.
};

struct PathFault {
  std::string problem;
  std::string remedy;
};

// What makes `path` unfit for `role`, as far as its name tells. The machine is not asked.
std::optional<PathFault> check_path(PathRole role, std::string_view path);

// `path` without «//», «/./» and «/../».
std::string normal_path(std::string_view path);

// The same for two normal paths that name one device: /dev/ng0n1 is /dev/nvme0n1.
std::string device_identity(std::string_view normal_path);

}  // namespace nvmf::config
