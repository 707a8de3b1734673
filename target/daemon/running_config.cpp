#include "target/daemon/running_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

#include "config/diff.h"
#include "config/parse.h"

namespace nvmf::daemon {
namespace {

constexpr char kFrom[] = " from ";

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

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void report(const ConfigFiles::Outcome& outcome) {
  const SavedFiles& saved = outcome.saved;
  if (saved.files.empty())
    spdlog::info("nothing to save: no change is unsaved");
  else
    spdlog::info("saved the running config to {}; {}", joined(saved.files),
                 outcome.has_copies ? "what was there before, with its comments, is kept as FILE~"
                                    : "there was no previous file");
  for (const std::string& file : saved.left)
    spdlog::warn("{} was changed after the daemon had read it, and stays as it is: no unsaved change belongs to it",
                 file);
  for (const std::string& file : saved.not_given)
    spdlog::warn("{} belongs to the user of the daemon now, who may not give files to the former owner or group", file);
}

std::string version_of(const config::Json& document) {
  return to_string(boost::uuids::name_generator_sha1(boost::uuids::ns::oid())(config::text_of(document)));
}

}  // namespace

RunningConfig::RunningConfig(config::Config config, config::Sources sources, DurableHook before)
    : config_(std::move(config)),
      document_(config::editable(sources, config_)),
      config_of_files_(config_),
      files_(config_, std::move(sources), std::move(before)),
      version_(version_of(document_)) {}

void RunningConfig::replace(config::Config config, config::Json document) {
  config_ = std::move(config);
  document_ = std::move(document);
  version_ = version_of(document_);
  unsaved_ = config::describe(config::diff(config_of_files_, config_));
}

void RunningConfig::replace_by_files(config::Config config, config::Sources sources) {
  document_ = config::editable(sources, config);
  version_ = version_of(document_);
  files_.read(config, std::move(sources));
  config_ = std::move(config);
  take_as_saved(config_);
}

void RunningConfig::take_as_saved(config::Config config_of_files) {
  config_of_files_ = std::move(config_of_files);
  unsaved_.clear();
}

std::vector<std::string> RunningConfig::lost_by(const config::Config& files) const {
  const std::vector<std::string> undone = config::describe(config::diff(files, config_));
  std::vector<std::string> lost;
  std::ranges::copy_if(unsaved_, std::back_inserter(lost), [&](const std::string& line) {
    return std::ranges::any_of(undone, [&](const std::string& other) { return concern_the_same(line, other); });
  });
  return lost;
}

ConfigChange RunningConfig::compare(const config::Sources& sources) const {
  ConfigChange change;
  const config::Result wanted = config::parse(sources);
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

// Edited files that were applied with `apply` are what runs.
std::optional<config::Config> RunningConfig::running_in(const config::Sources& sources) const {
  config::Result edited = config::parse(sources);
  if (!edited.config) return std::nullopt;
  const config::Difference difference = config::diff(config_, *edited.config);
  const bool is_running = difference.needs_restart.empty() && config::describe(difference).empty();
  return is_running ? std::move(edited.config) : std::nullopt;
}

boost::asio::awaitable<SavedFiles> RunningConfig::save(bool force, WorkerThread& on) {
  std::optional<config::Config> found;
  ConfigFiles::Outcome outcome;
  const std::function<void()> work = [&] {
    const config::Difference unsaved = config::diff(config_of_files_, config_);
    const auto is_in = [&](const config::Sources& sources) {
      found = running_in(sources);
      return found.has_value();
    };
    outcome = files_.save({.document = document_, .unsaved = unsaved, .is_in = is_in}, force);
  };
  co_await on.run(work);
  if (found) {
    files_.read(*found, std::move(*outcome.found));
    take_as_saved(std::move(*found));
  } else {
    files_.written(outcome, config_, document_);
    take_as_saved(config_);
  }
  report(outcome);
  co_return std::move(outcome.saved);
}

}  // namespace nvmf::daemon
