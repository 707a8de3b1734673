// The UUIDs of namespaces to which neither the config nor the device gives an identifier, kept in the directory
// "state_dir": hosts always see the same UUID for the same storage, and never for another one.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class IdentifierFiles {
 public:
  using Uuid = std::array<uint8_t, 16>;

  explicit IdentifierFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  // The UUID of a namespace on `storage` (backend::DeviceInfo): the one that was kept; for the first storage one
  // derived from NQN and NSID, so that two targets of one subsystem agree; for any other storage a random one, so that
  // hosts do not mistake its data for the first one's. Empty `storage`: random each time. Throws std::runtime_error
  // with a remedy when the file cannot be read. `path`: of the device, by which versions that knew fewer names of
  // devices kept the UUID.
  Uuid uuid_of(const std::string& nqn, uint32_t nsid, const std::string& storage, const std::string& path = {}) const;
  // Called before hosts see the UUID. Throws std::exception when it cannot be written: the namespace can be served all
  // the same.
  void keep(const std::string& nqn, uint32_t nsid, const std::string& storage, const Uuid& uuid) const;

  // The file of one namespace, whether it exists or not.
  std::string path_of(const std::string& nqn, uint32_t nsid) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
