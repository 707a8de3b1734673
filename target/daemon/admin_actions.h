// What the admin API lets its clients see and do, behind a seam: the daemon does it, tests answer for it. Control
// thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/edit.h"

namespace nvmf::daemon {

// What came of a change of the config: all of it, or nothing.
struct ConfigChange {
  enum class Verdict : uint8_t {
    Good,          // it was made, or could be
    Mistaken,      // the config has mistakes
    NeedsRestart,  // a key has changed that cannot while the daemon runs
    Unavailable,   // a device cannot be opened, or the like
  };
  Verdict verdict = Verdict::Good;
  std::vector<std::string> changes{};  // a line for each, in the order in which they are made
  std::vector<std::string> reasons{};  // why it was refused; warnings where it was not
};

class AdminActions {
 public:
  using Json = nlohmann::json;
  using Change = boost::asio::awaitable<ConfigChange>;
  // May throw config::EditError: nothing changes.
  using Edit = std::function<void(config::Json& document)>;

  virtual ~AdminActions() = default;

  // As openapi.json describes them.
  virtual Json status() = 0;
  virtual Json subsystems() = 0;
  virtual Json namespaces() = 0;
  virtual Json connections() = 0;
  virtual Json p2p() = 0;
  virtual Json stats() = 0;
  virtual Json ana() = 0;
  // What runs.
  virtual const config::Json& running_config() = 0;

  // Each change waits for the one before.
  virtual Change reload() = 0;
  virtual Change change(Edit edit) = 0;
  // The storage of a namespace, which was refused because the identifiers of the config were served from another one
  // before, is the right one now: it is served. Throws config::EditError when none was refused.
  virtual Change accept(std::string nqn, uint32_t nsid) = 0;
  // What a reload would do if the file held `text`; messages call it `name`. Opens no device.
  virtual ConfigChange compare(const std::string& text, const std::string& name) = 0;
  // Makes the config file say what runs; returns its name. Throws std::exception with a message for the operator.
  virtual std::string save() = 0;

  // Until the next reload, or until a change concerns it. Throws std::exception with a message for whoever asks.
  virtual void set_ana(const std::string& wanted) = 0;
  // Disconnects every host that is connected through the port (none: any port), those that use ANA when they have been
  // told of it, and accepts no connection on it, until resume(). Returns at once: status() tells when it is done.
  // False: there is no such port.
  virtual bool drain(std::optional<uint16_t> port) = 0;
  virtual bool resume(std::optional<uint16_t> port) = 0;
  // Returns how many controllers the host had. It may connect again, if it is allowed to.
  virtual size_t disconnect(const std::string& hostnqn) = 0;
};

}  // namespace nvmf::daemon
