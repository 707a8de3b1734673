// A user of this machine as whom a program would run: the groups from the user database, and for the user of the
// systemd unit nvmf-p2p.service also what the unit gives and takes.
#pragma once

#include <string>

#include "p2p/file_rights.h"
#include "p2p/sysfs.h"

namespace nvmf::p2p {

// Throws std::runtime_error when there is no such user.
Identity identity_of(const std::string& user, const Sysfs& sysfs);

// The parts of a unit that decide what its program may do, drop-ins included.
struct UnitRights {
  std::string path{};  // of the unit file; empty: there is no unit
  std::string user{};
  std::vector<std::string> groups{};  // SupplementaryGroups=
  uint64_t capabilities = 0;          // AmbientCapabilities=, of those that matter here
  bool locks_without_limit = false;   // LimitMEMLOCK=infinity
};
UnitRights read_unit(const Sysfs& sysfs);

// The group's name; its number when it has none.
std::string name_of_group(uint32_t gid);

}  // namespace nvmf::p2p
