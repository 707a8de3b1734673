// The write protection that hosts gave to namespaces, in the directory "state_dir": of each namespace by its
// identifiers, so that other storage under the same NSID is not protected by what was there before.
#pragma once

#include <string>

#include "target/core/write_protection.h"
#include "target/daemon/state_directory.h"

namespace nvmf::daemon {

class WriteProtectionFiles : public core::WriteProtectionStore {
 public:
  explicit WriteProtectionFiles(StateDirectory directory) : directory_(std::move(directory)) {}

  core::WriteProtection load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  bool save(const std::string& nqn, const core::NamespaceOptions& ns, core::WriteProtection state) override;

  // Of one namespace, whether it exists or not.
  std::string path_of(const std::string& nqn, uint32_t nsid) const;

 private:
  StateDirectory directory_;
};

}  // namespace nvmf::daemon
