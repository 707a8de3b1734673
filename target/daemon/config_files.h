// The files of the running config, as they were last read or written: what each of them has of it, and how changes go
// back to where they belong. A subsystem belongs to the file that it was read from, and to the config file when it was
// in none; all other keys belong to the config file.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "config/edit.h"
#include "config/sources.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/durable_file.h"

namespace nvmf::daemon {

class ConfigFiles {
 public:
  // `config`: what `sources` was parsed as. `before` is for tests.
  ConfigFiles(const config::Config& config, config::Sources sources, DurableHook before = {})
      : before_(std::move(before)) {
    read(config, std::move(sources));
  }

  // The files were read anew.
  void read(const config::Config& config, config::Sources sources);

  // The config file, and its drop-ins.
  const std::string& name() const { return sources_.file.name; }
  std::vector<std::string> drop_ins() const;
  const config::Sources& sources() const { return sources_; }

  // What runs, and how it differs from what the files had.
  struct Running {
    const config::Json& document;
    const config::Difference& unsaved;
    // Whether files have the running config.
    std::function<bool(const config::Sources&)> is_in;
  };
  struct Outcome {
    SavedFiles saved{};
    // The files have the running config already, because somebody else wrote it there.
    std::optional<config::Sources> found{};
    // By file: what was written; none: the file is as it was.
    std::vector<std::optional<std::string>> texts{};
    bool has_copies = false;
  };
  // Writes each file that has unsaved changes, all or none; what was there before stays beside it as FILE~. Throws
  // Refused when one of them was changed since it was last read or written, unless `force`, and std::exception when a
  // file cannot be read or written. May run beside the control thread, which changes nothing meanwhile.
  Outcome save(const Running& running, bool force) const;
  // Files were written by save(), and have the running config.
  void written(const Outcome& outcome, const config::Config& config, const config::Json& document);

  // Removes what a daemon left that was killed while it saved.
  void remove_leftovers() const;

 private:
  size_t count() const { return 1 + sources_.drop_ins.size(); }
  const config::SourceFile& file(size_t index) const;
  // The index of the file that a subsystem belongs to.
  size_t home_of(const std::string& nqn) const;
  // The files that a difference is about.
  std::set<size_t> concerned_by(const config::Difference& difference) const;
  // What each file has of a whole config.
  std::vector<config::Json> parts_of(const config::Json& document) const;
  // By file: what it is to have; and whether that differs from what it had.
  struct Wanted {
    std::string text;
    bool is_changed;
  };
  std::vector<Wanted> wanted_by(const Running& running) const;

  config::Sources sources_;
  config::Json document_;                // of all files together
  std::map<std::string, size_t> homes_;  // of the subsystems, by NQN; those of the config file may be missing
  DurableHook before_;
};

}  // namespace nvmf::daemon
