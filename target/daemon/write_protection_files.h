// The write protection that hosts gave to namespaces, in the directory "state_dir": of their storage, or where it has
// none of each namespace by its identifiers, so that other data under the same NSID is not protected by what was there
// before.
#pragma once

#include <string>

#include "target/core/subsystem/write_protection.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class WriteProtectionFiles : public core::WriteProtectionStore {
 public:
  explicit WriteProtectionFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  // Of a storage of which nothing was saved, what a former version saved of the namespace.
  core::WriteProtection load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  bool save(const std::string& nqn, const core::NamespaceOptions& ns, core::WriteProtection state) override;

  // What load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
