#include "target/daemon/save_journal.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "config/file_content.h"
#include "config/json_text.h"
#include "config/sources.h"
#include "target/backend/descriptor.h"
#include "target/daemon/file_lock.h"

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;
using backend::Descriptor;

constexpr char kSuffix[] = ".nvmf-p2p-save-journal";

// Tells contents apart.
std::string digest_of(const std::string& content) {
  return to_string(boost::uuids::name_generator_sha1(boost::uuids::ns::oid())(content));
}

// None: there is no such file.
std::optional<std::string> content_of(const std::string& path) {
  std::string text;
  const int error = config::read_file(path, text);
  if (error == ENOENT) return std::nullopt;
  if (error != 0) throw std::runtime_error("cannot read " + path + ": " + config::reading_error(error));
  return text;
}

std::optional<std::string> digest_of_file(const std::string& path) {
  const auto content = content_of(path);
  return content ? std::optional(digest_of(*content)) : std::nullopt;
}

std::array<std::string, 2> journals_of(const std::string& config_file) {
  return {journal_of(config_file, true), journal_of(config_file, false)};
}

void remove_durably(const std::string& path, const DurableHook& before) {
  if (before) before(DurableStep::Remove);
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    throw std::system_error(errno, std::generic_category(), "cannot remove " + path);
  if (before) before(DurableStep::SyncDirectory);
  sync_directory(std::filesystem::path(path).parent_path());
}

enum class Found {
  Before,  // the save had not replaced it
  After,   // it had: the file was given back what it had before
  Edited,  // or its copy is not what it had before
};

Found undo(const std::string& path, const std::optional<std::string>& was, const std::string& after,
           const DurableHook& before) {
  unlink(fresh_name(path).c_str());
  const auto now = digest_of_file(path);
  if (now == was) return Found::Before;
  if (now != after) return Found::Edited;
  if (!was) {
    remove_durably(path, before);
    return Found::After;
  }
  const auto copy = content_of(path + "~");
  if (!copy || digest_of(*copy) != *was) return Found::Edited;
  replace_durably(path, *copy, access_of(path), before);
  return Found::After;
}

std::string sentence_of(Found found, const std::string& path) {
  const std::string reason = "a save of the config was interrupted before it had replaced all files: " + path;
  switch (found) {
    case Found::Before:
      return reason + " is as it was before the save";
    case Found::After:
      return reason + " has again what it had before the save";
    case Found::Edited:
      return reason + " was edited since, or its copy was, and stays as it is; check the config";
  }
  return {};
}

[[noreturn]] void refuse(const std::string& journal, const std::string& why) {
  throw std::runtime_error(journal + ' ' + why + ", so nothing is done with it: look at the files of the config, and " +
                           "remove the journal");
}

// Not open where there is no journal.
Descriptor open_journal(const std::string& journal) {
  constexpr int kCareful = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat status {};
  if (lstat(journal.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) refuse(journal, "is no regular file");
  Descriptor file(open(journal.c_str(), O_RDWR | kCareful));  // some network file systems lock only what may be written
  if (!file.is_open() && errno != ENOENT) file = Descriptor(open(journal.c_str(), O_RDONLY | kCareful));
  if (!file.is_open()) {
    if (errno == ENOENT) return {};
    throw std::system_error(errno, std::generic_category(), "cannot open " + journal);
  }
  if (fstat(file.get(), &status) != 0) throw std::system_error(errno, std::generic_category(), journal);
  if (!S_ISREG(status.st_mode)) refuse(journal, "is no regular file");
  if (status.st_uid != 0 && status.st_uid != geteuid())
    refuse(journal, "belongs to the user " + std::to_string(status.st_uid) + ", who is neither root nor the daemon's");
  return file;
}

bool is_still(const std::string& path, int descriptor) {
  struct stat named {};
  struct stat opened {};
  return lstat(path.c_str(), &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

struct Entry {
  std::string path;
  std::optional<std::string> before;
  std::string after;
};

std::vector<Entry> entries_of(const std::string& journal, int descriptor) {
  std::string text;
  if (const int error = config::read_open_file(descriptor, text); error != 0)
    throw std::runtime_error("cannot read " + journal + ": " + config::reading_error(error));
  std::vector<Entry> entries;
  try {
    const Json save = config::json_from(text);
    for (const Json& file : save.at("files")) {
      const Json& was = file.at("before");
      entries.push_back({.path = file.at("path").get<std::string>(),
                         .before = was.is_null() ? std::nullopt : std::optional(was.get<std::string>()),
                         .after = file.at("after").get<std::string>()});
    }
  } catch (const config::JsonError& error) {
    refuse(journal, error.what());
  } catch (const Json::exception&) {
    refuse(journal, "is not what a save writes");
  }
  return entries;
}

using IsOfConfig = std::function<bool(const std::string& path)>;

// A daemon that saves keeps the lock of its journal, and removes the journal before it lets go.
std::vector<std::string> undo_journal(const std::string& journal, const IsOfConfig& is_of_config,
                                      const DurableHook& before) {
  Descriptor file = open_journal(journal);
  if (!file.is_open()) return {};
  const FileLock lock(std::move(file), journal);
  if (!is_still(journal, lock.descriptor())) return {};
  const std::vector<Entry> entries = entries_of(journal, lock.descriptor());
  const auto stranger = std::ranges::find_if_not(entries, is_of_config, &Entry::path);
  if (stranger != entries.end()) refuse(journal, "names " + stranger->path + ", which is no file of the config");
  std::vector<std::string> done;
  done.reserve(entries.size());
  for (const Entry& entry : entries)
    done.push_back(sentence_of(undo(entry.path, entry.before, entry.after, before), entry.path));
  remove_durably(journal, before);
  return done;
}

// Itself, where that cannot be found out.
std::string where_link_leads(const std::filesystem::path& path) {
  try {
    return target_of(path.string());
  } catch (const std::filesystem::filesystem_error&) {
    return path.string();
  }
}

// The config file, and what is or was a drop-in: by the name in its directory, or where a link there leads, if
// anywhere.
IsOfConfig files_of(const std::string& config_file) {
  namespace fs = std::filesystem;
  const std::string directory = config::drop_in_directory(config_file);
  std::set<std::string> known = {target_of(config_file)};
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (config::names_drop_in(entry->path().filename().string())) known.insert(where_link_leads(entry->path()));
  return [known, directory = target_of(directory)](const std::string& path) {
    const fs::path file(path);
    return known.contains(path) || (file.parent_path() == directory && config::names_drop_in(file.filename().string()));
  };
}

}  // namespace

void SaveJournal::add(const std::string& path, const std::optional<std::string>& before, const std::string& after) {
  entries_.push_back({path, before ? std::optional(digest_of(*before)) : std::nullopt, digest_of(after)});
}

std::string SaveJournal::text() const {
  Json files = Json::array();
  for (const Entry& entry : entries_)
    files.push_back(
        {{"path", entry.path}, {"before", entry.before ? Json(*entry.before) : Json(nullptr)}, {"after", entry.after}});
  return Json{{"files", std::move(files)}}.dump() + "\n";
}

// Nobody sees the journal before it is locked.
void SaveJournal::guard(const std::function<void()>& replace) const {
  try {
    DurableReplacement journal(path_, before_);
    journal.write(text(), nullptr);
    const FileLock lock(fresh_name(path_));
    journal.put_in_place();
    replace();
    remove_durably(path_, before_);
  } catch (...) {
    undo();
    throw;
  }
}

bool SaveJournal::is_of_save(const std::string& path) const {
  return std::ranges::find(entries_, path, &Entry::path) != entries_.end();
}

void SaveJournal::undo() const {
  try {
    const auto is_of_save = [this](const std::string& path) { return this->is_of_save(path); };
    for (const std::string& sentence : undo_journal(path_, is_of_save, {})) spdlog::warn("{}", sentence);
  } catch (const std::exception& error) {
    spdlog::error(
        "saving the config failed, and the files that were written already could not be put back: {}; the next start, "
        "reload or save puts them back",
        error.what());
  }
}

std::string journal_of(const std::string& config_file, bool replaces_config_file) {
  const std::filesystem::path target = target_of(config_file);
  const std::string directory =
      replaces_config_file ? target.parent_path().string() : config::drop_in_directory(config_file);
  return (std::filesystem::path(directory) / ('.' + target.filename().string() + kSuffix)).string();
}

bool is_save_interrupted(const std::string& config_file) {
  std::error_code ignored;
  return std::ranges::any_of(journals_of(config_file),
                             [&](const std::string& journal) { return std::filesystem::exists(journal, ignored); });
}

std::vector<std::string> undo_interrupted_save(const std::string& config_file, const DurableHook& before) {
  std::vector<std::string> done;
  std::optional<IsOfConfig> known;  // where there is a journal
  const IsOfConfig is_of_config = [&](const std::string& path) {
    if (!known) known = files_of(config_file);
    return (*known)(path);
  };
  for (const std::string& journal : journals_of(config_file))
    for (std::string& sentence : undo_journal(journal, is_of_config, before)) done.push_back(std::move(sentence));
  return done;
}

std::vector<std::string> undo_before_reading(const std::string& config_file) {
  try {
    return undo_interrupted_save(config_file);
  } catch (const std::exception& error) {
    return {std::string(
                "a save of the config was interrupted before it had replaced all files, and those that it had written "
                "could not be put back: ") +
            error.what()};
  }
}

}  // namespace nvmf::daemon
