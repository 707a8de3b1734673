// The write protection that hosts gave to namespaces, in the directory "state_dir": saved for the storage, or, without
// a storage, for each namespace by its identifiers, so that other data under the same NSID does not inherit the
// protection.
#pragma once

#include <string>

#include "target/core/subsystem/write_protection.h"
#include "target/daemon/state_directory.h"
#include "target/daemon/state_writer.h"

namespace nvmf::daemon {

class WriteProtectionFiles : public core::WriteProtectionStore {
 public:
  static constexpr char kPurpose[] = "write-protection";  // StateDirectory's

  explicit WriteProtectionFiles(StateDirectory directory, StateWriter writer = write_at_once)
      : directory_(std::move(directory)), writer_(std::move(writer)) {}

  // For a storage without saved state: the state that a former version saved for the namespace.
  core::WriteProtection load(const std::string& nqn, const core::NamespaceOptions& ns) override;
  void save(const std::string& nqn, const core::NamespaceOptions& ns, core::WriteProtection state,
            std::function<void(bool)> saved) override;
  // What save() has the writer do. False: it was not saved, which is logged. Blocks; any thread.
  bool write(const std::string& nqn, const core::NamespaceOptions& ns, core::WriteProtection state) const;

  // The file that load() reads, whether it exists or not. Throws std::system_error.
  std::string path_of(const std::string& nqn, const core::NamespaceOptions& ns) const;

 private:
  StateDirectory directory_;
  StateWriter writer_;
};

}  // namespace nvmf::daemon
