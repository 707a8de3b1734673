// The running config, with which changes are compared and which `save` writes to the file. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/edit.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

class RunningConfig {
 public:
  // `text`: the content of the config file, which was parsed as `config`.
  RunningConfig(config::Config config, std::string text);

  // The name of the config file with which the daemon was started.
  const std::string& file() const { return file_; }
  const config::Config& config() const { return config_; }
  const config::Json& document() const { return document_; }
  // See AdminActions.
  const std::string& version() const { return version_; }
  // The config file as it was last read or written.
  const std::string& text_of_file() const { return text_of_file_; }
  // What a reload of the file, as it was last read or written, would undo: the changes that lead from the file to the
  // running config, a line for each.
  const std::vector<std::string>& unsaved() const { return unsaved_; }

  // Those of unsaved() that the running config loses when a reload makes it `file`.
  std::vector<std::string> lost_by(const config::Config& file) const;

  // A change through the admin API.
  void replace(config::Config config, config::Json document);
  // The file was read, and is what runs now.
  void replace_by_file(config::Config config, std::string text);

  // See AdminActions. `on`: the thread that writes the file.
  ConfigChange compare(const std::string& text, const std::string& name) const;
  boost::asio::awaitable<std::string> save(bool force, WorkerThread& on);
  // Removes what a daemon left that was killed while it saved.
  void remove_leftovers() const;

 private:
  bool is_running(const std::string& text) const;

  const std::string file_;
  config::Config config_;
  config::Json document_;
  // The file as it was last read or written.
  config::Config config_of_file_;
  std::string text_of_file_;
  std::vector<std::string> unsaved_;
  std::string version_;
};

}  // namespace nvmf::daemon
