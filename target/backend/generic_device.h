// The generic character device of an SSD's namespace, by what an operator calls the SSD.
#pragma once

#include <string>

namespace nvmf::backend {

// Where a link leads to the disk of an SSD's namespace (/dev/disk/by-id/... to /dev/nvme0n1), the generic device beside
// the disk (/dev/ng0n1); any other path as it is. `root` stands for "/".
std::string generic_device_of(const std::string& path, const std::string& root = "/");

}  // namespace nvmf::backend
