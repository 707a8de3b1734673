#include "target/daemon/running_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "config/diff.h"
#include "config/file_content.h"
#include "config/parse.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {
namespace {

constexpr char kFrom[] = " from ";

// The target of a symbolic link, so that the link itself stays when the file is replaced. The file may be missing.
std::string target_of(const std::string& path) {
  std::filesystem::path target = path;
  if (std::filesystem::is_symlink(target)) target = target.parent_path() / std::filesystem::read_symlink(target);
  return std::filesystem::weakly_canonical(std::filesystem::absolute(target)).string();
}

// What a line of config::describe() changes, without the verb, keys and values: "namespace 1 of NQN".
std::string subject_of(const std::string& line) {
  const size_t begin = line.find(' ') + 1;
  return line.substr(begin, std::min(line.find(": "), line.find(kFrom)) - begin);
}

// Whether two such lines are of one subject, and have a key in common when both have keys.
bool concern_the_same(const std::string& line, const std::string& other) {
  if (subject_of(line) != subject_of(other)) return false;
  size_t from = line.find(kFrom);
  if (from == std::string::npos || other.find(kFrom) == std::string::npos) return true;
  for (; from != std::string::npos; from = line.find(kFrom, from + 1)) {
    const size_t key = line.rfind(' ', from - 1) + 1;
    if (other.find(' ' + line.substr(key, from - key) + kFrom) != std::string::npos) return true;
  }
  return false;
}

// None: there is no such file.
std::optional<std::string> content_if_any(const std::string& path) {
  std::string text;
  const int error = config::read_file(path, text);
  if (error == ENOENT) return std::nullopt;
  if (error != 0) throw std::runtime_error("cannot read " + path + ": " + config::reading_error(error));
  return text;
}

std::string version_of(const config::Json& document) {
  return to_string(boost::uuids::name_generator_sha1(boost::uuids::ns::oid())(config::text_of(document)));
}

}  // namespace

RunningConfig::RunningConfig(config::Config config, std::string text)
    : file_(config.file),
      config_(std::move(config)),
      document_(config::editable(text, config_)),
      config_of_file_(config_),
      text_of_file_(std::move(text)),
      version_(version_of(document_)) {}

void RunningConfig::replace(config::Config config, config::Json document) {
  config_ = std::move(config);
  document_ = std::move(document);
  version_ = version_of(document_);
  unsaved_ = config::describe(config::diff(config_of_file_, config_));
}

void RunningConfig::replace_by_file(config::Config config, std::string text) {
  config_of_file_ = config;
  document_ = config::editable(text, config);
  version_ = version_of(document_);
  text_of_file_ = std::move(text);
  config_ = std::move(config);
  unsaved_.clear();
}

std::vector<std::string> RunningConfig::lost_by(const config::Config& file) const {
  const std::vector<std::string> undone = config::describe(config::diff(file, config_));
  std::vector<std::string> lost;
  std::ranges::copy_if(unsaved_, std::back_inserter(lost), [&](const std::string& line) {
    return std::ranges::any_of(undone, [&](const std::string& other) { return concern_the_same(line, other); });
  });
  return lost;
}

ConfigChange RunningConfig::compare(const std::string& text, const std::string& name) const {
  ConfigChange change;
  const config::Result wanted = config::parse(text, name);
  for (const auto& diagnostic : wanted.diagnostics) change.reasons.push_back(to_string(diagnostic));
  if (!wanted.config) {
    change.verdict = ConfigChange::Verdict::Mistaken;
    return change;
  }
  const config::Difference difference = config::diff(config_, *wanted.config);
  change.changes = config::describe(difference);
  if (difference.needs_restart.empty()) return change;
  change.verdict = ConfigChange::Verdict::NeedsRestart;
  std::ranges::copy(difference.needs_restart, std::back_inserter(change.reasons));
  return change;
}

// An edited file that was applied with `apply` is what runs.
bool RunningConfig::is_running(const std::string& text) const {
  const config::Result edited = config::parse(text, file_);
  if (!edited.config) return false;
  const config::Difference difference = config::diff(config_, *edited.config);
  return difference.needs_restart.empty() && config::describe(difference).empty();
}

boost::asio::awaitable<std::string> RunningConfig::save(bool force, WorkerThread& on) {
  std::string text = config::text_of(document_);
  std::string file;
  bool given = true;
  bool copied = false;
  const std::function<void()> work = [&] {
    file = target_of(file_);
    const std::optional<std::string> former = content_if_any(file);
    if (!former && !force)
      throw Refused("there is no " + file_ + " any more: bring it back, or write it anew with `nvmf-p2p save --force`");
    if (!former) return replace_durably(file, text);
    if (*former != text_of_file_ && !force && !is_running(*former))
      throw Refused(file_ +
                    " was changed after the daemon had read it, and saving would undo that change. Compare with " +
                    "`nvmf-p2p diff " + file_ + "`; then apply the file with `nvmf-p2p reload`, or overwrite it with " +
                    "`nvmf-p2p save --force`");
    const FileAccess access = access_of(file);
    replace_durably(file + "~", *former, access);
    copied = true;
    given = replace_durably(file, text, access);
  };
  co_await on.run(work);
  config_of_file_ = config_;
  text_of_file_ = std::move(text);
  unsaved_.clear();
  spdlog::info(
      "saved the running config to {}; {}", file_,
      copied ? "the previous file, with its comments, is kept as " + file + "~" : "there was no previous file");
  if (!given)
    spdlog::warn("{} belongs to the user of the daemon now, who may not give files to the former owner or group",
                 file_);
  co_return file_;
}

void RunningConfig::remove_leftovers() const {
  std::error_code ignored;
  const std::string file = std::filesystem::canonical(file_, ignored).string();
  if (file.empty()) return;
  remove_leftover(file);
  remove_leftover(file + "~");
}

}  // namespace nvmf::daemon
