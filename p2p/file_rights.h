// Who may open a file: its owner, group and mode, and the user who wants to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nvmf::p2p {

struct FileRights {
  uint32_t mode = 0;  // of which the last nine bits count
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool may_open = false;  // for reading and writing: of the process that looked
};

inline constexpr uint64_t kMayOverrideRights = uint64_t{1} << 1;  // CAP_DAC_OVERRIDE
inline constexpr uint64_t kMayLockMemory = uint64_t{1} << 14;     // CAP_IPC_LOCK
inline constexpr uint64_t kMayAdminister = uint64_t{1} << 21;     // CAP_SYS_ADMIN
inline constexpr uint64_t kAllCapabilities = (uint64_t{1} << 41) - 1;

// A user as whom a program would run, who is not the one who runs this process.
struct Identity {
  std::string name{};
  uint32_t uid = 0;
  std::vector<uint32_t> gids{};
  uint64_t capabilities = 0;
  bool locks_without_limit = false;  // its limit of locked memory is "unlimited"
  std::string limit_from{};          // what sets that limit: the path of a systemd unit; empty: unknown
};

// Whether the user may open the file for reading and writing. Access control lists are not looked at.
inline bool may_open(const Identity& who, const FileRights& file) {
  constexpr uint32_t kReadAndWrite = 6;
  if ((who.capabilities & kMayOverrideRights) != 0) return true;
  uint32_t bits = file.mode;
  if (who.uid == file.uid) {
    bits >>= 6U;
  } else {
    for (const uint32_t gid : who.gids) {
      if (gid != file.gid) continue;
      bits >>= 3U;
      break;
    }
  }
  return (bits & kReadAndWrite) == kReadAndWrite;
}

}  // namespace nvmf::p2p
