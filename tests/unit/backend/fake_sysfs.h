// A sysfs of files and links below a temporary folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/scratch.h"

namespace nvmf::backend::test {

class FakeSysfs {
 public:
  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  void directory(const std::string& path) { std::filesystem::create_directories(root_ / path); }
  void link(const std::string& path, const std::string& target) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::filesystem::create_directory_symlink(root_ / target, root_ / path);
  }
  std::string path(const std::string& inside) const { return (root_ / inside).string(); }
  std::string root() const { return root_.string(); }

 private:
  nvmf::Scratch scratch_;
  const std::filesystem::path root_ = scratch_.path();
};

}  // namespace nvmf::backend::test
