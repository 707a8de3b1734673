#include "target/daemon/running_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include "config/diff.h"
#include "config/parse.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw std::system_error(errno, std::generic_category(), "cannot read " + path);
  return text.str();
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

boost::asio::awaitable<std::string> RunningConfig::save(bool force, WorkerThread& on) {
  std::string text = config::text_of(document_);
  std::string file;
  bool given = true;
  const std::function<void()> work = [&] {
    // The target of a symbolic link, so that the link itself stays.
    file = std::filesystem::canonical(file_).string();
    const std::string former = content_of(file);
    if (former != text_of_file_ && !force)
      throw Refused(file_ +
                    " was changed after the daemon had read it, and saving would undo that change. Compare with " +
                    "`nvmf-p2p diff " + file_ + "`; then apply the file with `nvmf-p2p reload`, or overwrite it with " +
                    "`nvmf-p2p save --force`");
    const FileAccess access = access_of(file);
    replace_durably(file + "~", former, access);
    given = replace_durably(file, text, access);
  };
  co_await on.run(work);
  config_of_file_ = config_;
  text_of_file_ = std::move(text);
  unsaved_.clear();
  spdlog::info("saved the running config to {}; the previous file, with its comments, is kept as {}~", file_, file);
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
