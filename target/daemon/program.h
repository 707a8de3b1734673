// The program file that this process runs, and how another file takes its place: the process stays what it is for its
// service manager (number, unit, sandbox, watchdog), and begins anew with the file that is at the same path by then
// (execve(2)). When the new program cannot start, the former one returns to its place, with the config that it had.
//
// The programs tell each other in the environment: NVMF_P2P_FORMER, NVMF_P2P_UPGRADE_FAILED. One thread: the first.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "target/backend/descriptor.h"

namespace nvmf::daemon {

class Program {
 public:
  // At the start of the process. The arguments must live as long as this object.
  Program(int argc, char** argv);

  // Where the file is, or was when the process was started; absolute.
  const std::string& path() const { return path_; }
  // The version whose place this program has taken; empty: none, the process was started with this program.
  const std::string& former_version() const { return former_version_; }
  // Why the program that was to take the place of this one is not here; empty: no such thing has happened.
  const std::string& upgrade_failure() const { return upgrade_failure_; }
  // Then: the text of the config with which this program ran before, whatever is in the config file by now.
  const std::optional<std::string>& former_config() const { return former_config_; }
  // What the program served whose place this one has taken (served_names.h); empty: there is none, or it is too old to
  // say.
  const std::vector<std::string>& former_served() const { return former_served_; }

  // The file at path() takes this one's place, with the same arguments. `config`: the text of the config with which
  // this program runs; `served`: what it serves. All descriptors but the standard ones are closed, all other threads
  // end. Returns only by std::system_error: then neither that file nor this program's own could be started again.
  [[noreturn]] void replace(const std::string& config, const std::vector<std::string>& served) const;
  // Another program is asked to take this one's place, and why it has not: empty, no such thing has happened yet.
  void set_upgrade_failure(std::string why) { upgrade_failure_ = std::move(why); }
  // This program serves all that it is to serve: it needs the former one no longer.
  void settle();
  // This program could not start, or does not serve all, because of `reason`: the former one takes its place again.
  // Returns when there is none, or it could not be started again.
  void go_back(const std::string& reason) const;

 private:
  void take_former(const std::string& told);
  void take_failure(const std::string& told);

  std::vector<char*> arguments_;
  std::string path_;
  std::string former_version_;
  // Of the program whose place this one has taken: its file, and the text of its config.
  backend::Descriptor former_file_;
  backend::Descriptor former_text_;
  std::vector<std::string> former_served_;
  std::string upgrade_failure_;
  std::optional<std::string> former_config_;
};

}  // namespace nvmf::daemon
