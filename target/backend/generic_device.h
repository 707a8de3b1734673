// The generic character device of an SSD's namespace, by what an operator calls the SSD.
#pragma once

#include <cstdint>
#include <string>

namespace nvmf::backend {

// Where a link leads to the disk of an SSD's namespace (/dev/disk/by-id/... to /dev/nvme0n1), the generic device beside
// the disk (/dev/ng0n1); any other path as it is. `root` stands for "/".
std::string generic_device_of(const std::string& path, const std::string& root = "/");

// What was found of an SSD with a serial number.
struct SsdSearch {
  std::string path;        // of the generic device, "/dev/ng0n1"; empty: there is a problem
  bool is_absent = false;  // the SSD or its namespace may still come; otherwise the operator has to decide
  std::string problem;     // for the operator
  std::string remedy;      // what to do about it
};

// The generic device of namespace `nsid` of the SSD with serial number `serial`, as sysfs below `root` tells; 0: the
// only namespace that the SSD has. Reads files only; never throws.
SsdSearch find_by_serial(const std::string& serial, uint32_t nsid, const std::string& root = "/");
// Serial numbers are padded with blanks, which do not count.
bool is_same_serial(const std::string& a, const std::string& b);

}  // namespace nvmf::backend
