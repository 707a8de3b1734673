#include "target/daemon/running_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "config/diff.h"
#include "config/parse.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {

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

std::string RunningConfig::save() {
  namespace fs = std::filesystem;
  // The target of a symbolic link, so that the link itself stays.
  const fs::path file = fs::canonical(file_);
  const fs::perms mode = fs::status(file).permissions();
  fs::copy_file(file, file.string() + "~", fs::copy_options::overwrite_existing);
  replace_durably(file.string(), config::text_of(document_));
  fs::permissions(file, mode);
  unsaved_.clear();
  spdlog::info("saved the running config to {}; the previous file, with its comments, is kept as {}~", file_,
               file.string());
  return file_;
}

}  // namespace nvmf::daemon
