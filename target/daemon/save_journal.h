// A `save` that replaces several files of the config replaces all or none, also when the daemon is killed or the
// machine loses power in the middle. Before the first file is replaced, a journal beside the files says what each was
// and is to be; when the last has been replaced, the journal goes. A journal that is found belongs to a save that was
// interrupted: that save is undone, with the copies FILE~ that it has made first. A journal is trusted as far as its
// owner: this process's user or root; and it may name no files but the config's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "target/daemon/durable_file.h"

namespace nvmf::daemon {

class SaveJournal {
 public:
  // Nothing is written yet. `path`: see journal_of(). `before` is for tests.
  SaveJournal(std::string path, DurableHook before) : path_(std::move(path)), before_(std::move(before)) {}

  // A file that is to have `after`, and has `before`; none: there is no file.
  void add(const std::string& path, const std::optional<std::string>& before, const std::string& after);
  // Calls `replace`, which replaces the files. When that fails, those that were replaced get back what they had, and
  // what `replace` has thrown is thrown.
  void guard(const std::function<void()>& replace) const;

 private:
  struct Entry {
    std::string path;
    std::optional<std::string> before;  // digests
    std::string after;
  };
  std::string text() const;
  bool is_of_save(const std::string& path) const;
  void undo() const;

  std::string path_;
  DurableHook before_;
  std::vector<Entry> entries_;
};

// Where the journal of a save is: beside the config file when that is replaced, otherwise among the drop-ins, because
// the daemon may be allowed to write only there.
std::string journal_of(const std::string& config_file, bool replaces_config_file);

bool is_save_interrupted(const std::string& config_file);

// Gives the files of an interrupted save what they had before it, except those that were edited since. Returns what was
// done, in sentences for the log; none: no save was interrupted. Throws std::exception when that is not possible, or
// when another daemon is saving just now, or when the journal is somebody else's or names other files than the config
// file and its drop-ins; the journal stays then.
std::vector<std::string> undo_interrupted_save(const std::string& config_file, const DurableHook& before = {});

// The same before the files are read. What fails is a sentence of the result.
std::vector<std::string> undo_before_reading(const std::string& config_file);

}  // namespace nvmf::daemon
