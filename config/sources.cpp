#include "config/sources.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/file_content.h"
#include "config/parse.h"

namespace nvmf::config {
namespace {

constexpr std::string_view kDirectory = "conf.d";
constexpr std::string_view kSuffix = ".json";

std::string remedy_for(int error) {
  if (error == ENOENT) return "check the name of the config file";
  if (error == EISDIR) return "name a file in that directory";
  if (error == ENXIO) return "name a regular file";
  if (error == EACCES) return "give the user who runs this command the right to read the file";
  return "give a file that can be read";
}

std::string remedy_for_drop_in(int error) {
  if (error == EACCES) return "give the user who runs this command the right to read the drop-in";
  return "remove it, or give it a name that does not end in .json";
}

SourceFault too_long(const std::string& name, std::string problem = "the file is too long") {
  return {name, std::move(problem), "at most " + std::to_string(kMaxFileBytes >> 20U) + " MiB are read"};
}

SourceFault too_many(const std::string& name, size_t count) {
  return {name, std::to_string(count) + " drop-ins",
          "at most " + std::to_string(kMaxDropIns) + " are read: put several subsystems in one file"};
}

// None when the file has been read.
std::vector<SourceFault> fault_of(const std::string& name, int error, std::string remedy) {
  if (error == 0) return {};
  if (error == EFBIG) return {too_long(name)};
  return {{name, reading_error(error), std::move(remedy)}};
}

// A link that leads nowhere is no directory that does not exist: what it should lead to is missing for now.
bool is_absent(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::symlink_status(directory, ignored).type() == std::filesystem::file_type::not_found;
}

// Whether somebody else may have put a directory of drop-ins beside the config file: where everybody may write, as in
// /tmp.
bool is_foreign(const std::string& directory, const std::string& config_file) {
  const std::filesystem::path parent = std::filesystem::absolute(config_file).parent_path();
  struct stat place {};
  struct stat file {};
  struct stat entry {};
  const bool known = stat(parent.c_str(), &place) == 0 && stat(config_file.c_str(), &file) == 0 &&
                     lstat(directory.c_str(), &entry) == 0;
  const bool is_open = known && (place.st_mode & S_IWOTH) != 0;
  return is_open && entry.st_uid != 0 && entry.st_uid != geteuid() && entry.st_uid != file.st_uid;
}

std::vector<std::string> names_in(const std::string& directory, std::vector<SourceFault>& unreadable) {
  std::vector<std::string> names;
  if (is_absent(directory)) return names;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error))
    if (std::string name = entries->path().filename().string(); names_drop_in(name)) names.push_back(std::move(name));
  if (error)
    unreadable.push_back({directory, reading_error(error.value()),
                          "make it a directory that the user who runs this command may read, or remove it"});
  if (names.size() > kMaxDropIns) {
    unreadable.push_back(too_many(directory, names.size()));
    names.clear();
  }
  std::ranges::sort(names);
  return names;
}

void read_drop_ins(Sources& sources, std::vector<SourceFault>& unreadable) {
  const std::string directory = drop_in_directory(sources.file.name);
  if (is_foreign(directory, sources.file.name)) {
    unreadable.push_back({directory, "somebody else made it in a directory where everybody may write",
                          "keep the config file in a directory of its own"});
    return;
  }
  for (const std::string& name : names_in(directory, unreadable)) {
    SourceFile file{.name = (std::filesystem::path(directory) / name).string(), .text = {}};
    const int error = read_file(file.name, file.text);
    const auto fault = fault_of(file.name, error, remedy_for_drop_in(error));
    unreadable.insert(unreadable.end(), fault.begin(), fault.end());
    if (!fault.empty()) continue;
    sources.drop_ins.push_back(std::move(file));
    if (auto beyond = beyond_bounds(sources)) {
      sources.drop_ins.pop_back();
      return unreadable.push_back(std::move(*beyond));
    }
  }
}

}  // namespace

bool names_drop_in(std::string_view name) { return name.ends_with(kSuffix) && !name.starts_with('.'); }

std::string drop_in_directory(const std::string& path) {
  return (std::filesystem::path(path).parent_path() / kDirectory).string();
}

std::string directory_with_drop_in(const std::string& path) {
  const std::filesystem::path directory = std::filesystem::absolute(path).parent_path();
  const bool is_drop_in = directory.filename() == kDirectory && names_drop_in(path.substr(path.rfind('/') + 1));
  return is_drop_in ? directory.parent_path().string() : "";
}

std::optional<SourceFault> beyond_bounds(const Sources& sources) {
  size_t bytes = sources.file.text.size();
  if (bytes > kMaxFileBytes) return too_long(sources.file.name);
  if (sources.drop_ins.size() > kMaxDropIns) return too_many(sources.file.name, sources.drop_ins.size());
  for (const SourceFile& drop_in : sources.drop_ins) {
    bytes += drop_in.text.size();
    if (bytes > kMaxFileBytes)
      return too_long(drop_in.name, "the config file and the drop-ins up to this one are too long");
  }
  return std::nullopt;
}

std::vector<SourceFault> read_sources(const std::string& path, Sources& sources) {
  sources.file.name = path;
  const int error = read_file(path, sources.file.text);
  std::vector<SourceFault> unreadable = fault_of(path, error, remedy_for(error));
  if (unreadable.empty()) read_drop_ins(sources, unreadable);
  return unreadable;
}

std::vector<SourceFault> read_input_sources(const std::string& path, Sources& sources) {
  if (path != "-" && path != "/dev/stdin") return read_sources(path, sources);
  sources.file.name = path;
  const int error = read_input(path, sources.file.text);
  if (error == EFBIG) return {too_long(path, "the text is too long")};
  return fault_of(path, error, remedy_for(error));
}

}  // namespace nvmf::config
