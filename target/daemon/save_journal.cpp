#include "target/daemon/save_journal.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "config/file_content.h"
#include "config/json_text.h"
#include "config/sources.h"
#include "target/daemon/file_lock.h"

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

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

// A daemon that saves keeps the lock of its journal. None where there is no journal.
std::optional<FileLock> lock_of(const std::string& journal) {
  try {
    return FileLock(journal);
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory) return std::nullopt;
    throw;
  }
}

std::vector<std::string> undo_journal(const std::string& journal, const DurableHook& before) {
  const auto lock = lock_of(journal);
  const auto text = content_of(journal);
  if (!text) return {};
  std::vector<std::string> done;
  const Json save = config::json_from(*text);
  for (const Json& file : save.at("files")) {
    const auto path = file.at("path").get<std::string>();
    const Json& was = file.at("before");
    const Found found = undo(path, was.is_null() ? std::nullopt : std::optional(was.get<std::string>()),
                             file.at("after").get<std::string>(), before);
    done.push_back(sentence_of(found, path));
  }
  remove_durably(journal, before);
  return done;
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

void SaveJournal::undo() const {
  try {
    for (const std::string& sentence : undo_journal(path_, {})) spdlog::warn("{}", sentence);
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
  for (const std::string& journal : journals_of(config_file))
    for (std::string& sentence : undo_journal(journal, before)) done.push_back(std::move(sentence));
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
