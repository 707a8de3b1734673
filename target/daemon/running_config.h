// The running config, with which changes are compared and which `save` writes to the files. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/edit.h"
#include "config/sources.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/config_files.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

class RunningConfig {
 public:
  // `sources`: the config file and its drop-ins, which were parsed as `config`. `before` is for tests.
  RunningConfig(config::Config config, config::Sources sources, DurableHook before = {});

  // The name of the config file with which the daemon was started, and those of its drop-ins.
  const std::string& file() const { return files_.name(); }
  std::vector<std::string> drop_ins() const { return files_.drop_ins(); }
  const config::Config& config() const { return config_; }
  const config::Json& document() const { return document_; }
  // See AdminActions.
  const std::string& version() const { return version_; }
  // The config file and its drop-ins, as they were last read or written, in one text (config::sources_of()).
  std::string text_of_files() const { return config::text_of(files_.sources()); }
  // What a reload of the files, as they were last read or written, would undo: the changes that lead from the files to
  // the running config, a line for each.
  const std::vector<std::string>& unsaved() const { return unsaved_; }

  // Those of unsaved() that the running config loses when a reload makes it `files`.
  std::vector<std::string> lost_by(const config::Config& files) const;

  // A change through the admin API.
  void replace(config::Config config, config::Json document);
  // The files were read, and are what runs now.
  void replace_by_files(config::Config config, config::Sources sources);

  // See AdminActions. `on`: the thread that writes the files.
  ConfigChange compare(const config::Sources& sources) const;
  boost::asio::awaitable<SavedFiles> save(bool force, WorkerThread& on);
  // Removes what a daemon left that was killed while it saved.
  void remove_leftovers() const { files_.remove_leftovers(); }

 private:
  // The config of the files, when it is what runs.
  std::optional<config::Config> running_in(const config::Sources& sources) const;
  // What the files have is what runs.
  void take_as_saved(config::Config config_of_files);

  config::Config config_;
  config::Json document_;
  // The files as they were last read or written.
  config::Config config_of_files_;
  ConfigFiles files_;
  std::vector<std::string> unsaved_;
  std::string version_;
};

}  // namespace nvmf::daemon
