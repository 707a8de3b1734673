// The running config, with which changes are compared and which `save` writes to the file. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/edit.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/worker_thread.h"

namespace nvmf::daemon {

class RunningConfig {
 public:
  // `document`: the JSON of `config`.
  RunningConfig(config::Config config, config::Json document)
      : file_(config.file), config_(std::move(config)), document_(std::move(document)) {}

  // The name of the config file with which the daemon was started.
  const std::string& file() const { return file_; }
  const config::Config& config() const { return config_; }
  const config::Json& document() const { return document_; }
  // A line for each change since the file was read or written.
  const std::vector<std::string>& unsaved() const { return unsaved_; }

  void replace(config::Config config, config::Json document) {
    config_ = std::move(config);
    document_ = std::move(document);
  }
  void add_unsaved(const std::string& line) { unsaved_.push_back(line); }
  // Clears the list of unsaved changes, and returns it.
  std::vector<std::string> forget_unsaved() { return std::exchange(unsaved_, {}); }

  // See AdminActions. `on`: the thread that writes the file.
  ConfigChange compare(const std::string& text, const std::string& name) const;
  boost::asio::awaitable<std::string> save(WorkerThread& on);

 private:
  const std::string file_;
  config::Config config_;
  config::Json document_;
  std::vector<std::string> unsaved_;
};

}  // namespace nvmf::daemon
