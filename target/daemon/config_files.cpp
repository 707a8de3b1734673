#include "target/daemon/config_files.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "config/file_content.h"
#include "config/parse.h"
#include "target/daemon/save_journal.h"

namespace nvmf::daemon {
namespace {

constexpr size_t kConfigFile = 0;

// None: there is no such file.
std::optional<std::string> content_if_any(const std::string& path) {
  std::string text;
  const int error = config::read_file(path, text);
  if (error == ENOENT) return std::nullopt;
  if (error != 0) throw std::runtime_error("cannot read " + path + ": " + config::reading_error(error));
  return text;
}

// A file of the config, on disk now.
struct FileOnDisk {
  const config::SourceFile& known;
  const std::string& wanted;
  bool is_changed;  // has unsaved changes
  std::string path{};
  std::optional<std::string> content{};
  std::string fault{};  // why it cannot be read

  bool was_edited() const { return content != known.text; }
};

void look_at(FileOnDisk& file) {
  file.path = target_of(file.known.name);
  try {
    file.content = content_if_any(file.path);
  } catch (const std::exception& error) {
    if (file.is_changed) throw;
    file.fault = error.what();
  }
}

std::string edit_of(const FileOnDisk& file) {
  if (!file.fault.empty()) return file.fault;
  return file.content ? file.known.name + " was changed after the daemon had read it"
                      : "there is no " + file.known.name + " any more";
}

bool is_gone(const FileOnDisk& file) { return file.fault.empty() && !file.content; }

// Of the files whose edits saving would undo. Without the config file there is nothing to compare with, nor to reload.
std::string refusal_of(const std::vector<const FileOnDisk*>& edited, const std::string& config_file) {
  std::string text;
  for (const FileOnDisk* const file : edited) text += (text.empty() ? "" : ", and ") + edit_of(*file);
  text += "; saving would undo that. ";
  const bool has_no_config_file = std::ranges::any_of(
      edited, [&](const FileOnDisk* const one) { return one->known.name == config_file && is_gone(*one); });
  if (has_no_config_file) return text + "Write what runs with `nvmf-p2p save --force`";
  return text + "Compare with `nvmf-p2p diff " + config_file +
         "`; then apply what the files have with `nvmf-p2p reload`, or write what runs with `nvmf-p2p save --force`";
}

// Files that could be loaded stay so. (A subsystem may have been moved by hand to a drop-in that the daemon has not
// read, or a file that is left refers to a port that is removed.)
void check_result(config::Sources files, const std::vector<const FileOnDisk*>& to_write) {
  if (!config::parse(files)) return;
  for (const FileOnDisk* const one : to_write) {
    const std::string& name = one->known.name;
    const auto found = std::ranges::find(files.drop_ins, name, &config::SourceFile::name);
    if (name == files.file.name)
      files.file.text = one->wanted;
    else if (found != files.drop_ins.end())
      found->text = one->wanted;
    else
      files.drop_ins.push_back({.name = name, .text = one->wanted});
  }
  const config::Result result = config::parse(files);
  if (result) return;
  const auto mistake = std::ranges::find(result.diagnostics, config::Severity::error, &config::Diagnostic::severity);
  throw Refused(
      "the files would have a mistake afterwards, because they were changed after the daemon had read them: " +
      to_string(*mistake) + ". Apply what the files have with `nvmf-p2p reload`, and repeat the change");
}

std::string remedy_for(int error, const std::string& directory) {
  if (error == ENOSPC || error == EDQUOT) return "make room on the file system of " + directory;
  if (error == EROFS)
    return "make the file system of " + directory + " writable (in a systemd unit: ReadWritePaths=" + directory + ")";
  return "the daemon's user must be able to make and replace files in " + directory;
}

// `write` writes beside the file, whose content stays.
void beside(const FileOnDisk& file, const std::function<void()>& write) {
  try {
    write();
  } catch (const std::system_error& error) {
    const std::string directory = std::filesystem::path(file.path).parent_path().string();
    throw std::runtime_error(file.known.name + " cannot be written: " + error.code().message() +
                             "; no config file has changed: " + remedy_for(error.code().value(), directory));
  }
}

// Copies first: until the last of the new contents is on the disk, every file is as it was.
void write(const std::vector<const FileOnDisk*>& files, const std::string& config_file, const DurableHook& before,
           ConfigFiles::Outcome& outcome) {
  for (const FileOnDisk* const one : files) {
    if (!one->content) continue;
    beside(*one, [&] { replace_durably(one->path + "~", *one->content, access_of(one->path), before); });
    outcome.has_copies = true;
  }
  std::deque<DurableReplacement> replacements;
  for (const FileOnDisk* const one : files) {
    bool given = true;
    beside(*one, [&] {
      const auto access = one->content ? std::optional(access_of(one->path)) : std::nullopt;
      given = replacements.emplace_back(one->path, before).write(one->wanted, access ? &*access : nullptr);
    });
    if (!given) outcome.saved.not_given.push_back(one->known.name);
  }
  const auto replace = [&] {
    for (DurableReplacement& replacement : replacements) replacement.put_in_place();
  };
  if (files.size() < 2) return replace();
  const bool has_config_file =
      std::ranges::any_of(files, [&](const FileOnDisk* const one) { return one->known.name == config_file; });
  SaveJournal journal(journal_of(config_file, has_config_file), before);
  for (const FileOnDisk* const one : files) journal.add(one->path, one->content, one->wanted);
  journal.guard(replace);
}

}  // namespace

void ConfigFiles::read(const config::Config& config, config::Sources sources) {
  document_ = config::editable(sources, config);
  sources_ = std::move(sources);
  homes_.clear();
  for (const config::Subsystem& subsystem : config.subsystems) homes_[subsystem.nqn] = subsystem.position.file;
}

std::vector<std::string> ConfigFiles::drop_ins() const {
  std::vector<std::string> names;
  for (const config::SourceFile& drop_in : sources_.drop_ins) names.push_back(drop_in.name);
  return names;
}

const config::SourceFile& ConfigFiles::file(size_t index) const {
  return index == kConfigFile ? sources_.file : sources_.drop_ins.at(index - 1);
}

size_t ConfigFiles::home_of(const std::string& nqn) const {
  const auto found = homes_.find(nqn);
  return found == homes_.end() ? kConfigFile : found->second;
}

std::set<size_t> ConfigFiles::concerned_by(const config::Difference& difference) const {
  std::set<size_t> files;
  const bool concerns_config_file = !difference.needs_restart.empty() || !difference.ports_removed.empty() ||
                                    !difference.ports_added.empty() || !difference.ports_changed.empty() ||
                                    difference.limits_changed || difference.log_level_changed ||
                                    difference.shutdown_timeout_changed;
  if (concerns_config_file) files.insert(kConfigFile);
  for (const auto* const list : {&difference.subsystems_removed, &difference.subsystems_added})
    for (const config::Subsystem* const subsystem : *list) files.insert(home_of(subsystem->nqn));
  for (const auto& change : difference.subsystems_changed) files.insert(home_of(change.after->nqn));
  for (const auto* const list :
       {&difference.namespaces_removed, &difference.namespaces_added, &difference.namespaces_changed})
    for (const auto& change : *list) files.insert(home_of(change.subsystem->nqn));
  return files;
}

std::vector<config::Json> ConfigFiles::parts_of(const config::Json& document) const {
  std::vector<config::Json> parts = {document};
  for (const config::SourceFile& drop_in : sources_.drop_ins) parts.push_back(config::document_of(drop_in));
  for (config::Json& part : parts) part["subsystems"] = config::Json::array();
  for (const config::Json& subsystem : document.at("subsystems"))
    parts[home_of(subsystem.at("nqn").get<std::string>())]["subsystems"].push_back(subsystem);
  return parts;
}

// A subsystem that differs may have the same text as before (it is on a new port by default), and a text that was
// replaced may be another spelling of the same config: neither is written.
std::vector<ConfigFiles::Wanted> ConfigFiles::wanted_by(const Running& running) const {
  const std::set<size_t> concerned = concerned_by(running.unsaved);
  const std::vector<config::Json> before = parts_of(document_);
  const std::vector<config::Json> after = parts_of(running.document);
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < count(); ++i)
    wanted.push_back({config::text_of(after[i]), concerned.contains(i) && after[i] != before[i]});
  return wanted;
}

ConfigFiles::Outcome ConfigFiles::save(const Running& running, bool force) const {
  for (const std::string& sentence : undo_interrupted_save(name())) spdlog::warn("{}", sentence);
  Outcome outcome{.saved = {.file = name()}, .texts = std::vector<std::optional<std::string>>(count())};
  config::Sources found;
  const bool can_be_read = config::read_sources(name(), found).empty();
  if (can_be_read && running.is_in(found)) {
    outcome.found = std::move(found);
    return outcome;
  }
  const std::vector<Wanted> wanted = wanted_by(running);
  const bool has_changes = std::ranges::any_of(wanted, &Wanted::is_changed);
  std::vector<const FileOnDisk*> to_write;
  std::vector<const FileOnDisk*> undone;
  std::deque<FileOnDisk> files;
  for (size_t i = 0; i < count(); ++i) {
    FileOnDisk& one =
        files.emplace_back(FileOnDisk{.known = file(i), .wanted = wanted[i].text, .is_changed = wanted[i].is_changed});
    look_at(one);
    // Where no change is to be saved, edits are what keeps the files from having what runs.
    const bool is_undone = one.was_edited() && (one.is_changed || !has_changes);
    if (is_undone) undone.push_back(&one);
    if (is_undone || one.is_changed) {
      to_write.push_back(&one);
      outcome.texts[i] = one.wanted;
      outcome.saved.files.push_back(one.known.name);
    } else if (one.was_edited()) {
      outcome.saved.left.push_back(one.known.name);
    }
  }
  if (!undone.empty() && !force) throw Refused(refusal_of(undone, name()));
  if (can_be_read && !to_write.empty()) check_result(std::move(found), to_write);
  write(to_write, name(), before_, outcome);
  return outcome;
}

void ConfigFiles::written(const Outcome& outcome, const config::Config& config, const config::Json& document) {
  for (size_t i = 0; i < count(); ++i)
    if (outcome.texts[i]) (i == kConfigFile ? sources_.file : sources_.drop_ins[i - 1]).text = *outcome.texts[i];
  document_ = document;
  std::map<std::string, size_t> homes;
  for (const config::Subsystem& subsystem : config.subsystems) homes[subsystem.nqn] = home_of(subsystem.nqn);
  homes_ = std::move(homes);
}

void ConfigFiles::remove_leftovers() const {
  for (size_t i = 0; i < count(); ++i) {
    std::error_code ignored;
    const std::string path = std::filesystem::canonical(file(i).name, ignored).string();
    if (path.empty()) continue;
    remove_leftover(path);
    remove_leftover(path + "~");
  }
  remove_leftover(journal_of(name(), true));
  // A drop-in that was gone, and was to be written anew, is not among the files.
  remove_leftovers_in(config::drop_in_directory(name()));
}

}  // namespace nvmf::daemon
