// The write protection that hosts gave to namespaces, in the directory "state_dir": saved for the storage, or, without
// a storage, for each namespace by its identifiers, so that other data under the same NSID does not inherit the
// protection.
#pragma once

#include <string>

#include "target/core/subsystem/write_protection.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class WriteProtectionFiles : public core::WriteProtectionStore {
 public:
  explicit WriteProtectionFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  // For a storage without saved state: the state that a former version saved for the namespace.
  core::WriteProtection load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  bool save(const std::string& nqn, const core::NamespaceOptions& ns, core::WriteProtection state) override;

  // The file that load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
