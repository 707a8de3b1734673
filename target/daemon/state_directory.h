// The directory "state_dir": state that outlives the daemon, in small JSON files, one for each owner and purpose.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>

#include "target/daemon/durable_file.h"
#include "target/daemon/file_lock.h"

namespace nvmf::core {
struct NamespaceOptions;
}

namespace nvmf::daemon {

// The owner of a file: a storage (core::NamespaceOptions) when there is one, whatever namespaces serve it; otherwise a
// namespace, by NQN and NSID.
struct StateOwner {
  std::string nqn{};
  uint32_t nsid = 0;
  std::string storage{};
};

StateOwner owner_of(const std::string& nqn, const core::NamespaceOptions& ns);

class StateDirectory {
 public:
  // Creates and reads nothing yet. `before` is told of each step before it is made, and may prevent it by an exception.
  explicit StateDirectory(std::string path, DurableHook before = {})
      : path_(std::move(path)), before_(std::move(before)) {}
  // Writes only while it holds the lock, which is that of the directory: what another daemon has locked is not changed.
  StateDirectory(std::string path, const std::shared_ptr<DirectoryLock>& lock);

  const std::string& path() const { return path_; }
  // Creates the directory when it is missing. Throws std::system_error when it cannot be created or written to.
  void make() const;
  // Throws std::system_error when it is missing, or cannot be written to.
  void require_writable() const;
  // Writes a file as large as most of them are, and removes it. Throws std::exception when that cannot be done.
  void try_to_write() const;
  // Removes what a daemon left that was killed while it wrote. Only for the daemon that has the directory to itself.
  void remove_leftovers() const;

  // The owner whose file has this owner's state: itself, or, when its storage has no file, its namespace, as a former
  // version kept it. Throws std::system_error when the files cannot be examined.
  StateOwner keeper(const std::string& purpose, const StateOwner& owner) const;
  // The path of the file, whether it exists or not; its name begins with `purpose`.
  std::string file(const std::string& purpose, const StateOwner& owner) const;
  // None: there is no such file. Throws std::exception when it cannot be read, or has another owner or another format
  // than `format`.
  std::optional<nlohmann::ordered_json> read(const std::string& purpose, const StateOwner& owner, int format) const;
  // The file is durable when this has returned. Adds format and owner. Throws std::system_error.
  void replace(const std::string& purpose, const StateOwner& owner, int format,
               const nlohmann::ordered_json& content) const;
  // The state of one storage becomes that of another, which has none. Throws std::exception.
  void hand_over(const std::string& purpose, const StateOwner& from, const StateOwner& to) const;
  // Removes the file if it exists.
  void remove(const std::string& purpose, const StateOwner& owner) const;

 private:
  std::string path_;
  DurableHook before_;
};

}  // namespace nvmf::daemon
