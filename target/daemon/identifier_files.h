// The UUIDs of namespaces to which neither the config nor the device gives an identifier, kept in the directory
// "state_dir": what hosts have once been shown for a storage they are shown again, and for no other.
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

  // The UUID that a namespace has, or will have, with `storage` (backend::DeviceInfo) behind it: the one that was kept;
  // for the first storage the one that derives from NQN and NSID, so that two targets of one subsystem agree; for any
  // other a random one, so that hosts do not take its data for the first one's. Empty `storage`: random each time.
  // Throws std::runtime_error, with what the operator is to do, when what was kept cannot be read.
  Uuid uuid_of(const std::string& nqn, uint32_t nsid, const std::string& storage) const;
  // Hosts are about to be shown it. A failure is logged: the namespace can be served, but what comes later will not
  // know of it.
  void keep(const std::string& nqn, uint32_t nsid, const std::string& storage, const Uuid& uuid) const;

  // Of one namespace, whether it exists or not.
  std::string path_of(const std::string& nqn, uint32_t nsid) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
