#include "tests/simulation/directory.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace nvmf::simulation {

Directory::Directory() {
  if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path_);
}

Directory::~Directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Directory::write(const std::string& name, const std::string& text) const { std::ofstream(path_of(name)) << text; }

void Directory::remove(const std::string& name) const { std::filesystem::remove(path_of(name)); }

}  // namespace nvmf::simulation
