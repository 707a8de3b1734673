// What the kernel tells about the machine in small files below /sys, /proc and /dev.
//
// `root` stands for "/", so that everything built on this is tested on recorded trees. Reading never throws: a file
// that is missing or may not be read gives an empty value. Any thread.
//
// A recorded tree may be a stranger's: nothing is read or listed of what its links lead to outside of it, what is no
// regular file is not opened for its content, and of every file and folder no more than a bound is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "p2p/file_rights.h"

namespace nvmf::p2p {

// The paths that were asked for, and whether for what is in the file.
using AskedPaths = std::map<std::string, bool>;
// The file of a saved tree (saved_tree.h) that has the rights of the others, a line each: mode (octal), uid, gid, 1
// when the process that saved them could open the file, else 0, and the path.
inline constexpr char kRightsFile[] = "rights";

class Sysfs {
 public:
  static constexpr size_t kMostReadBytes = 4U << 20U;  // of a file
  static constexpr size_t kMostNames = 65'536;         // in a folder

  explicit Sysfs(std::filesystem::path root = "/");

  // From now on: judges whether this user may open files, instead of this process.
  void judge_as(Identity who) { who_ = std::move(who); }
  const std::optional<Identity>& who() const { return who_; }
  // From now on: notes in `asked`, which must live as long as this object and its copies, what is asked for.
  void note_in(AskedPaths& asked) { asked_ = &asked; }

  // Where `path` ("/sys/...") is found on this machine.
  std::string where(const std::string& path) const;
  bool exists(const std::string& path) const;
  // What is there, links followed.
  std::filesystem::file_type type(const std::string& path) const;
  // The length of a regular file; 0 of everything else.
  uint64_t size_bytes(const std::string& path) const;
  // Whether this process, or the user of judge_as(), may open the file for reading and writing.
  bool may_open(const std::string& path) const;
  // Of the file itself, or of the file that was saved; none: there is no such file.
  std::optional<FileRights> rights(const std::string& path) const;
  // The first line without the blanks around it.
  std::string text(const std::string& path) const;
  // The whole file, as far as kMostReadBytes.
  std::string content(const std::string& path) const;
  // Decimal, or hexadecimal after "0x".
  std::optional<uint64_t> number(const std::string& path) const;
  // Names in a folder, in order, with numbers in them counted as numbers (nvme2 before nvme10).
  std::vector<std::string> list(const std::string& folder) const;
  // Of what is there, links followed; none: nothing is.
  std::optional<uint64_t> inode(const std::string& path) const;
  // The path with its links followed, as "/sys/devices/...".
  std::string resolve(const std::string& path) const;

 private:
  void note(const std::string& path, bool content = false) const;
  // Where `path` leads, links followed; empty: to nothing, or out of the tree.
  std::filesystem::path inside(const std::string& path) const;

  std::filesystem::path root_;
  std::shared_ptr<const std::map<std::string, FileRights>> saved_rights_;  // null: this is no saved tree
  std::optional<Identity> who_;
  AskedPaths* asked_ = nullptr;
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
