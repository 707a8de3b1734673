#include "target/daemon/state_backup.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <system_error>

#include "config/file_content.h"
#include "config/json_text.h"
#include "target/auth/hmac.h"
#include "target/daemon/durable_file.h"
#include "target/daemon/file_lock.h"

namespace nvmf::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr char kKind[] = "nvmf-p2p state backup";
constexpr int kFormat = 1;
// Of the daemon's own files (state_directory.h): the purposes that there are, and the format that this version reads.
constexpr std::array<std::string_view, 4> kPurposes = {"identifiers", "reservation", "served-storage",
                                                       "write-protection"};
constexpr int kFileFormat = 1;
// What the daemon keeps there that holds for this machine and this boot only.
constexpr std::string_view kProof = "proof";
constexpr size_t kUuidCharacters = 36;
constexpr std::string_view kSuffix = ".json";

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw std::system_error(errno, std::generic_category(), what + " " + path.string());
}

// PURPOSE-UUID.json
bool is_of(std::string_view purpose, std::string_view name) {
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  if (!name.starts_with(purpose) || name.size() != purpose.size() + 1 + kUuidCharacters) return false;
  return name[purpose.size()] == '-' &&
         name.substr(purpose.size() + 1).find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

bool is_ours(std::string_view name) {
  return std::ranges::any_of(kPurposes, [&](std::string_view purpose) { return is_of(purpose, name); });
}

std::string checksum_of(std::string_view text) {
  const auth::Secret hash =
      auth::hash(nvme::DhchapHash::Sha256, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  std::string digits;
  for (const uint8_t byte : hash.bytes()) digits += fmt::format("{:02x}", byte);
  return digits;
}

// What the checksum of the whole is made of.
std::string checksums_of(const Json& files) {
  std::string all;
  for (const Json& file : files)
    all += file.at("name").get<std::string>() + ' ' + file.at("sha256").get<std::string>() + '\n';
  return all;
}

std::string content_of(const fs::path& path) {
  std::string text;
  if (const int error = config::read_file(path.string(), text); error != 0)
    throw std::runtime_error(path.string() + " cannot be read: " + config::reading_error(error));
  return text;
}

StateBackup::File file_from(const Json& json, std::set<std::string>& names) {
  StateBackup::File file{json.at("name").get<std::string>(), json.at("content").get<std::string>()};
  if (!is_ours(file.name)) throw BadBackup("it has a file that is not one of the daemon's: " + file.name);
  if (!names.insert(file.name).second) throw BadBackup("it has the file " + file.name + " twice");
  if (checksum_of(file.content) != json.at("sha256").get<std::string>())
    throw BadBackup("it is damaged: the checksum of " + file.name + " is wrong");
  if (const std::string fault = fault_of(file); !fault.empty()) throw BadBackup("its file " + file.name + ' ' + fault);
  return file;
}

std::string stamp() {
  const std::time_t now = std::time(nullptr);
  return fmt::format("{:%Y%m%d-%H%M%S}", fmt::gmtime(now));
}

// A name that nothing has yet.
fs::path free_name(const fs::path& directory, const std::string& suffix) {
  for (int number = 1;; ++number) {
    fs::path name = directory.string() + suffix + (number == 1 ? "" : "-" + std::to_string(number));
    if (!fs::exists(fs::symlink_status(name))) return name;
  }
}

// The directory in which the files are made; removed unless it was put in place.
class Fresh {
 public:
  explicit Fresh(fs::path path) : path_(std::move(path)) {
    if (mkdir(path_.c_str(), 0700) != 0) fail("cannot make", path_);
  }
  ~Fresh() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;

  const fs::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

// False: this user may not give files to the owner of the former directory.
bool fill(const fs::path& fresh, const StateBackup& backup, const std::optional<FileAccess>& former) {
  bool owned = true;
  for (const StateBackup::File& file : backup.files) {
    const std::string path = (fresh / file.name).string();
    if (former)
      owned =
          replace_durably(path, file.content, {.owner = former->owner, .group = former->group, .mode = 0600}) && owned;
    else
      replace_durably(path, file.content);
  }
  if (former) {
    owned = chown(fresh.c_str(), former->owner, former->group) == 0 && owned;
    if (chmod(fresh.c_str(), former->mode) != 0) fail("cannot change the mode of", fresh);
  }
  sync_directory(fresh.string());
  return owned;
}

void exchange(const fs::path& fresh, const fs::path& directory) {
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, directory.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno == EBUSY)
    throw std::runtime_error(
        directory.string() +
        " is a mount point, which cannot be replaced at once: restore to a directory below it, and "
        "name that in the config as \"state_dir\"");
  fail("cannot exchange with " + fresh.string(), directory);
}

}  // namespace

StateBackup read_state(const fs::path& directory) {
  StateBackup backup;
  std::error_code error;
  const fs::directory_iterator entries(directory, error);
  if (error)
    throw std::runtime_error("the state directory " + directory.string() + " cannot be read: " + error.message() +
                             "; name another one with --state-dir, or its config with --config");
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (is_of(kProof, name)) continue;
    if (!is_ours(name)) {
      if (replaced_by(entry.path().string()).empty()) backup.ignored.push_back(name);  // not one that is being written
      continue;
    }
    backup.files.push_back({name, content_of(entry.path())});
  }
  std::ranges::sort(backup.files, {}, &StateBackup::File::name);
  std::ranges::sort(backup.ignored);
  return backup;
}

std::string fault_of(const StateBackup::File& file) {
  try {
    const Json json = config::json_from(file.content);
    if (json.is_object() && json.value("format", Json()) == kFileFormat) return {};
  } catch (const config::JsonError& error) {
    return error.what();
  }
  return "was written by another version of the daemon, in a format that this one does not know";
}

std::string text_of(const StateBackup& backup) {
  Json files = Json::array();
  for (const StateBackup::File& file : backup.files)
    files.push_back({{"name", file.name}, {"sha256", checksum_of(file.content)}, {"content", file.content}});
  const std::string whole = checksum_of(checksums_of(files));
  const Json json = {{"kind", kKind},      {"format", kFormat}, {"version", NVMF_P2P_VERSION},
                     {"made_at", stamp()}, {"sha256", whole},   {"files", std::move(files)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string restorable_text_of(const StateBackup& backup, const fs::path& directory) {
  for (const StateBackup::File& file : backup.files)
    if (const std::string fault = fault_of(file); !fault.empty())
      throw std::runtime_error((directory / file.name).string() + ' ' + fault +
                               ", so that restore would refuse the backup: move the file out of the directory");
  std::string text = text_of(backup);
  if (text.size() > kMostBackupBytes)
    throw std::runtime_error("the files of " + directory.string() + " are too large for a backup of " +
                             std::to_string(kMostBackupBytes >> 20U) +
                             " MiB, which is what restore reads: move those of former namespaces out of the directory");
  return text;
}

bool begins_backup(std::string_view text) {
  std::string dense;
  std::ranges::copy_if(text, std::back_inserter(dense), [](char c) { return c != ' ' && c != '\n' && c != '\r'; });
  std::string mark = R"({"kind":")" + std::string(kKind) + '"';
  std::erase(mark, ' ');
  return dense.starts_with(mark);
}

StateBackup backup_from(const std::string& text) {
  StateBackup backup;
  try {
    const Json json = config::json_from(text, kMostBackupBytes);
    if (!json.is_object() || json.value("kind", "") != kKind) throw BadBackup("it is not a backup of nvmf-p2p's state");
    if (json.at("format") != kFormat)
      throw BadBackup("another version (" + json.value("version", "unknown") +
                      ") of nvmf-p2p made it, in a format that this one does not know");
    if (checksum_of(checksums_of(json.at("files"))) != json.at("sha256").get<std::string>())
      throw BadBackup("it is damaged: the checksum of its list of files is wrong");
    std::set<std::string> names;
    for (const Json& file : json.at("files")) backup.files.push_back(file_from(file, names));
  } catch (const config::JsonError& error) {
    throw BadBackup(std::string("it ") + error.what());
  } catch (const Json::exception&) {
    throw BadBackup("it is damaged: a part of it is missing, or of another type");
  }
  return backup;
}

Restored restore(const fs::path& directory, const StateBackup& backup) {
  const fs::path parent = directory.parent_path();
  if (!parent.empty() && !fs::exists(parent))
    throw std::runtime_error("the directory " + parent.string() +
                             " is missing, in which the state directory is to be: make it, or name another one with "
                             "--state-dir");
  const bool is_there = fs::exists(directory);
  std::optional<FileLock> lock;
  std::optional<FileAccess> former;
  if (is_there) {
    lock.emplace(directory.string());
    former = access_of(directory.string());
  }
  const std::string suffix = ".before-restore-" + stamp();
  // The former directory gets this name by the exchange.
  Fresh fresh(free_name(directory, suffix));
  Restored done;
  done.owned = fill(fresh.path(), backup, former);
  if (is_there) {
    exchange(fresh.path(), directory);
    fresh.keep();
    done.former = fresh.path();
  } else {
    fs::rename(fresh.path(), directory);
    fresh.keep();
  }
  sync_directory(directory.parent_path().string());
  return done;
}

}  // namespace nvmf::daemon
