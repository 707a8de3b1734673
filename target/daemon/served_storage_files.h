// Which storage the identifiers of the config were served from, kept in the directory "state_dir". Hosts take all data
// under one identifier for that of one disk: when another disk is behind the path, it must not be served as the first.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "target/backend/device.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

// What tells a device or a file from any other, in a form for messages: the worldwide name or the serial number of a
// disk, the inode of a file (of the one behind a loop device, too) and when it was made; where there is nothing else,
// that it is the device at the path. Empty: its data is new with
// each opening. Asks the file system: on any thread.
std::string identity_of(const backend::DeviceSpec& spec, const backend::DeviceInfo& device);
// What former versions gave in its place.
std::vector<std::string> former_identities_of(const backend::DeviceInfo& device);

class ServedStorageFiles {
 public:
  explicit ServedStorageFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  // What the identifiers that the config gives `wanted` were served from last, where that is not `identity`. Empty: it
  // is, or they were never served, or the config gives none. Throws std::runtime_error, with what the operator is to
  // do, when what was kept cannot be read. `former`: what versions that knew fewer names of devices kept for this one.
  std::string served_before(const config::Namespace& wanted, const std::string& identity,
                            const std::vector<std::string>& former = {}) const;
  // They are served from `identity` now. Throws std::system_error.
  void keep(const config::Namespace& wanted, const std::string& identity) const;

  // Reservations and write protection that versions with fewer names of devices kept by the device's path are those of
  // `storage` (OpenedDevice::storage) from now on, unless that has its own. Throws std::exception.
  void name_anew(const std::string& path, const std::string& storage) const;

  // What is kept of each identifier, whether it exists or not.
  std::vector<std::string> paths_of(const config::Namespace& wanted) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
