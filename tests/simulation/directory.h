// A directory with an empty file for each model disk: what the daemon watches to see disks come and go. Gone with its
// owner.
#pragma once

#include <string>

namespace nvmf::simulation {

class Directory {
 public:
  Directory();  // throws std::system_error
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string path_of(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const;
  void remove(const std::string& name) const;

 private:
  std::string path_ = "/tmp/nvmf-p2p-simulation-XXXXXX";
};

}  // namespace nvmf::simulation
