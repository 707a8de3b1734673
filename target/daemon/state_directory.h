// The directory "state_dir": what outlives the daemon, in small JSON files, one for each owner and purpose.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "target/daemon/durable_file.h"

namespace nvmf::core {
struct NamespaceOptions;
}

namespace nvmf::daemon {

// Whose a file is: a namespace's, by NQN and NSID, or where there is a storage (core::NamespaceOptions) that one's,
// whatever namespaces it is served as.
struct StateOwner {
  std::string nqn{};
  uint32_t nsid = 0;
  std::string storage{};
};

StateOwner owner_of(const std::string& nqn, const core::NamespaceOptions& ns);

class StateDirectory {
 public:
  // Nothing is made or read yet. `before` is for tests.
  explicit StateDirectory(std::string path, DurableHook before = {})
      : path_(std::move(path)), before_(std::move(before)) {}

  const std::string& path() const { return path_; }
  // Makes the directory where there is none. Throws std::system_error when it cannot be made or written to.
  void make() const;

  // Whose file has what was kept for this owner: its own, or where nothing was kept for its storage its namespace's, as
  // a former version kept it. Throws std::system_error when that cannot be found out.
  StateOwner keeper(const std::string& purpose, const StateOwner& owner) const;
  // Whether it exists or not; its name begins with `purpose`.
  std::string file(const std::string& purpose, const StateOwner& owner) const;
  // None: there is no such file. Throws std::exception when it cannot be read, or is not this owner's in `format`.
  std::optional<nlohmann::ordered_json> read(const std::string& purpose, const StateOwner& owner, int format) const;
  // Durable once it has returned. Adds format and owner. Throws std::system_error.
  void replace(const std::string& purpose, const StateOwner& owner, int format,
               const nlohmann::ordered_json& content) const;
  // Where there is one.
  void remove(const std::string& purpose, const StateOwner& owner) const;

 private:
  std::string path_;
  DurableHook before_;
};

}  // namespace nvmf::daemon
