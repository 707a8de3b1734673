#include "p2p/saved_tree.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "p2p/doctor.h"

namespace nvmf::p2p {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // on the way to a file, as the kernel follows them

class Saving {
 public:
  Saving(const Sysfs& machine, fs::path folder) : machine_(machine), folder_(std::move(folder)) {}

  void save(const std::string& path, bool content) { save(fs::path(path).lexically_normal(), content, 0); }

  // Returns the number of files.
  size_t finish() {
    std::ofstream file(folder_ / kRightsFile);
    for (const std::string& path : files_) {
      const auto rights = machine_.rights(path);
      if (!rights) continue;
      file << std::oct << rights->mode << std::dec << ' ' << rights->uid << ' ' << rights->gid << ' '
           << rights->may_open << ' ' << path << '\n';
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + (folder_ / kRightsFile).string());
    return files_.size();
  }

 private:
  // Goes down component by component, so that each link on the way is there, too.
  void save(const fs::path& path, bool content, int links) {
    fs::path at = "/";
    for (auto part = path.begin(); part != path.end(); ++part) {
      if (*part == "/" || part->empty()) continue;
      at /= *part;
      std::error_code error;
      const fs::path there = machine_.where(at.string());
      const fs::file_type type = fs::symlink_status(there, error).type();
      if (type == fs::file_type::symlink) return follow(at, part, path.end(), content, links);
      if (type == fs::file_type::directory)
        fs::create_directories(here(at));
      else if (fs::exists(fs::symlink_status(there, error)))
        copy(at.string(), content && type == fs::file_type::regular);
      else
        return;
    }
  }

  void follow(const fs::path& at, fs::path::iterator part, const fs::path::iterator& end, bool content, int links) {
    std::error_code error;
    const fs::path target = fs::read_symlink(machine_.where(at.string()), error);
    if (error || links >= kMostLinks) return;
    // Below `folder_` an absolute target would lead back to this machine.
    const fs::path relative = target.is_absolute() ? target.lexically_relative(at.parent_path()) : target;
    if (!fs::is_symlink(fs::symlink_status(here(at), error))) fs::create_symlink(relative, here(at));
    fs::path rest = at.parent_path() / relative;
    for (++part; part != end; ++part) rest /= *part;
    save(rest.lexically_normal(), content, links + 1);
  }

  void copy(const std::string& path, bool content) {
    const bool is_new = files_.insert(path).second;
    if (!is_new && !content) return;
    std::ofstream file(here(path), std::ios::binary);
    if (content) {
      const std::string all = machine_.content(path);
      file.write(all.data(), static_cast<std::streamsize>(std::min(all.size(), kMostSavedBytes)));
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + here(path).string());
  }

  fs::path here(const fs::path& path) const { return folder_ / path.relative_path(); }

  const Sysfs& machine_;
  const fs::path folder_;
  std::set<std::string> files_;
};

}  // namespace

size_t save_tree(const Sysfs& machine, const fs::path& folder) {
  std::error_code error;
  const fs::file_type there = fs::symlink_status(folder, error).type();
  if (there != fs::file_type::not_found && (there != fs::file_type::directory || !fs::is_empty(folder, error)))
    throw std::runtime_error(folder.string() + " is not an empty directory: name a new one");
  fs::create_directories(folder, error);
  if (error) throw std::runtime_error("cannot make " + folder.string() + ": " + error.message());
  AskedPaths asked;
  Sysfs noted = machine;
  noted.note_in(asked);
  diagnose(noted);
  for (const char* const path : kSavedBesides) asked[path] = true;
  Saving saving(machine, folder);
  for (const auto& [path, content] : asked) saving.save(path, content);
  return saving.finish();
}

}  // namespace nvmf::p2p
