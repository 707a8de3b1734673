#include "target/backend/generic_device.h"

#include <filesystem>
#include <regex>
#include <system_error>

namespace nvmf::backend {

std::string generic_device_of(const std::string& path, const std::string& root) {
  static const std::regex kDisk("nvme([0-9]+n[0-9]+)");
  namespace fs = std::filesystem;
  const fs::path named = fs::path(root) / fs::path(path).relative_path();
  std::error_code error;
  if (!fs::is_symlink(named, error)) return path;
  const std::string disk = fs::canonical(named, error).filename().string();
  std::smatch match;
  return !error && std::regex_match(disk, match, kDisk) ? "/dev/ng" + match[1].str() : path;
}

}  // namespace nvmf::backend
