#include "target/daemon/running_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>

#include "config/diff.h"
#include "config/parse.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {
namespace {

// Returns the path that was written: the target of a symbolic link, so that the link itself stays.
std::string write_config(const std::string& name, const std::string& text) {
  namespace fs = std::filesystem;
  const fs::path file = fs::canonical(name);
  const fs::perms mode = fs::status(file).permissions();
  fs::copy_file(file, file.string() + "~", fs::copy_options::overwrite_existing);
  replace_durably(file.string(), text);
  fs::permissions(file, mode);
  return file.string();
}

}  // namespace

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

boost::asio::awaitable<std::string> RunningConfig::save(WorkerThread& on) {
  const std::string text = config::text_of(document_);
  std::string written;
  const std::function<void()> work = [&] { written = write_config(file_, text); };
  co_await on.run(work);
  unsaved_.clear();
  spdlog::info("saved the running config to {}; the former file, with its comments, is kept as {}~", file_, written);
  co_return file_;
}

}  // namespace nvmf::daemon
