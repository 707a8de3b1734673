// What clients of the admin API can see and do, behind a seam: the daemon implements it, and tests have a fake. Control
// thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/edit.h"
#include "config/sources.h"
#include "target/daemon/event_stream.h"

namespace nvmf::daemon {

// The result of a change of the config, which is applied as a whole or not at all.
struct ConfigChange {
  enum class Verdict : uint8_t {
    Good,          // the change was made, or could be
    Mistaken,      // the config has mistakes
    NeedsRestart,  // a changed key takes effect only after a restart
    Unavailable,   // a device or file that the change needs is unavailable
  };
  Verdict verdict = Verdict::Good;
  std::vector<std::string> changes{};  // a line for each, in the order in which the changes are made
  std::vector<std::string> reasons{};  // why the change was refused; warnings when it was not
};

// Whether another program may take the place of the running one.
struct UpgradePlan {
  std::string version{};                 // of the other program; empty: unknown
  std::vector<std::string> obstacles{};  // why it may not, a sentence each; empty: it may
  std::vector<std::string> notes{};      // what else the operator should know
};

// What `save` did.
struct SavedFiles {
  std::string file;                  // the config file
  std::vector<std::string> files{};  // that were written
  // That were edited after the daemon had read them, and stay as they are, because no unsaved change belongs to them.
  std::vector<std::string> left{};
  // That were written, and belong to the daemon's user now, who may not give files to their former owner or group.
  std::vector<std::string> not_given{};
};

// An operation that is not done as things are; the message says why, and what the client can do.
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class AdminActions {
 public:
  using Json = nlohmann::json;
  using Change = boost::asio::awaitable<ConfigChange>;
  // May throw config::EditError: nothing changes.
  using Edit = std::function<void(config::Json& document)>;

  virtual ~AdminActions() = default;

  // The answers, as openapi.json describes them.
  virtual Json status() = 0;
  virtual Json subsystems() = 0;
  virtual Json namespaces() = 0;
  virtual Json connections() = 0;
  virtual Json p2p() = 0;
  // Repeats the self-test of the CMB of the SSD at that PCI address, or of all (empty), with each RNIC; then the answer
  // of p2p(). Throws config::EditError when no namespace uses that CMB, and Refused.
  virtual boost::asio::awaitable<Json> prove(std::string ssd) = 0;
  // Over after a while: thousands of namespaces are read in slices.
  virtual boost::asio::awaitable<Json> stats() = 0;
  virtual Json ana() = 0;
  virtual Json reservations() = 0;
  virtual Json write_protection() = 0;
  // The events that clients follow.
  virtual EventStream& events() = 0;
  // The running config.
  virtual const config::Json& running_config() = 0;
  // A name of the running config's content: another content has another one.
  virtual std::string version() = 0;

  // Each change waits until the one before has ended. `force`: hosts that have authenticated with a key that is no
  // longer theirs are disconnected.
  virtual Change reload(bool force) = 0;
  // `if_match`: the version() that the client knows; throws Refused when the running config has another one by then.
  virtual Change change(Edit edit, std::optional<std::string> if_match) = 0;
  // The same with a whole config, whose files messages call by the client's names; the running config becomes it.
  virtual Change replace(config::Sources sources, std::optional<std::string> if_match) = 0;
  // The storage of a namespace, which was refused because the identifiers of the config were served from another one
  // before, is the right one now: it is served. Throws config::EditError when none was refused.
  virtual Change accept(std::string nqn, uint32_t nsid) = 0;
  // End what hosts have set on a namespace: its reservation with all registrations, or its write protection. Throw
  // config::EditError when there is none, and Refused when nobody can end it, or the reservation without `force`.
  virtual Change clear_reservation(std::string nqn, uint32_t nsid, bool force) = 0;
  virtual Change clear_write_protection(std::string nqn, uint32_t nsid) = 0;
  // What a reload would change if the config file and its drop-ins were these. Opens no device.
  virtual ConfigChange compare(const config::Sources& sources) = 0;
  // Writes the running config, as earlier changes leave it, to the config file and its drop-ins, each change to the
  // file that it belongs to. Throws Refused when such a file has changed since it was last read or written, unless
  // `force`, and std::exception with a message for the operator when one cannot be written.
  virtual boost::asio::awaitable<SavedFiles> save(bool force) = 0;

  // Holds until the next reload, or until a change concerns the group. Throws std::exception with a message for the
  // client.
  virtual void set_ana(const config::Json& wanted) = 0;
  // Disconnects every host that is connected through the port (none: any port), those that use ANA when they have been
  // told of it, and accepts no connection on it, until resume(). Returns at once: status() tells when it is done.
  // The ports that were not drained before, or were until now; none: there is no such port.
  virtual std::optional<std::vector<uint16_t>> drain(std::optional<uint16_t> port) = 0;
  virtual std::optional<std::vector<uint16_t>> resume(std::optional<uint16_t> port) = 0;
  // Asks the program that is now at the path by which the daemon was started whether it could take over, while this one
  // serves. `force`: also where data of namespaces in memory, or reservations that do not persist, are lost.
  virtual boost::asio::awaitable<UpgradePlan> prepare_upgrade(bool force) = 0;
  // That program takes this one's place: hosts that use ANA are told to use other paths, all are disconnected, and
  // reconnect to it. Does nothing when the daemon shuts down, or there are changes by now that are not saved. This
  // program serves on when commands do not end in time; status() says why.
  virtual void hand_over() = 0;
  // Returns the number of controllers that the host had. The host may connect again, if it is allowed to.
  virtual size_t disconnect(const std::string& hostnqn) = 0;
};

}  // namespace nvmf::daemon
