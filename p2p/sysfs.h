// What the kernel tells about the machine in small files below /sys, /proc and /dev.
//
// `root` stands for "/", so that everything built on this is tested on recorded trees. Reading never throws: a file
// that is missing or may not be read gives an empty value. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nvmf::p2p {

class Sysfs {
 public:
  explicit Sysfs(std::filesystem::path root = "/");

  // Where `path` ("/sys/...") is found on this machine.
  std::string where(const std::string& path) const;
  bool exists(const std::string& path) const;
  // What is there, links followed.
  std::filesystem::file_type type(const std::string& path) const;
  // The length of a regular file; 0 of everything else.
  uint64_t size_bytes(const std::string& path) const;
  // Whether this process may open the file for reading and writing.
  bool may_open(const std::string& path) const;
  // The first line without the blanks around it.
  std::string text(const std::string& path) const;
  // The whole file.
  std::string content(const std::string& path) const;
  // Decimal, or hexadecimal after "0x".
  std::optional<uint64_t> number(const std::string& path) const;
  // Names in a folder, in order, with numbers in them counted as numbers (nvme2 before nvme10).
  std::vector<std::string> list(const std::string& folder) const;
  // The path with its links followed, as "/sys/devices/...".
  std::string resolve(const std::string& path) const;

 private:
  std::filesystem::path root_;
};

struct KernelVersion {
  unsigned major = 0;  // 0: unknown
  unsigned minor = 0;
  std::string release;  // "7.3.4+deb13-amd64"

  bool at_least(unsigned wanted_major, unsigned wanted_minor) const {
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
  }
};
KernelVersion read_kernel_version(const Sysfs& sysfs);

}  // namespace nvmf::p2p
