// A copy of the directory "state_dir" as one text, and the directory that it is put back into.
#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nvmf::daemon {

// The text is no backup that this version can put back; the message says why.
class BadBackup : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A backup holds 4,096 namespaces with all their files: for each the reservations of 1,024 hosts, and three files that
// are small.
inline constexpr size_t kMostBackupBytes = 4096 * ((128U << 10U) + 3 * (4U << 10U));

struct StateBackup {
  struct File {
    std::string name;  // in the directory
    std::string content;
  };
  std::vector<File> files{};           // by name
  std::vector<std::string> ignored{};  // names of files that are not the daemon's
};

// Each file as it was at one moment: a daemon may run. Throws std::exception when the directory or a file cannot be
// read.
StateBackup read_state(const std::filesystem::path& directory);

// Why this version cannot use the file, a sentence without its subject; empty: it can.
std::string fault_of(const StateBackup::File& file);

// A JSON object with a checksum for each file, and one for all.
std::string text_of(const StateBackup& backup);
// The same, when restore would take it. Throws std::runtime_error that names the file of `directory` at fault, and what
// to do.
std::string restorable_text_of(const StateBackup& backup, const std::filesystem::path& directory);
// Whether a file that begins with this text is a backup, of whatever version.
bool begins_backup(std::string_view text);
// Throws BadBackup.
StateBackup backup_from(const std::string& text);

// What restore() did with what was there before.
struct Restored {
  std::filesystem::path former{};  // where it is now; empty: there was nothing
  bool owned = true;  // false: the files belong to this user, who may not give them to the directory's owner
};

// Makes the directory have these files, and no others, at once: whoever looks sees all of the former ones or all of
// these, also after a crash. The former directory stays beside it under a name with the time. Throws std::exception: a
// daemon uses the directory, or something failed; nothing has changed then.
Restored restore(const std::filesystem::path& directory, const StateBackup& backup);

}  // namespace nvmf::daemon
