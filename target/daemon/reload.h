// Applies a config: at the start all of it, later the difference to the running one. A change is all or nothing:
// everything that can fail is done first, before hosts see a change. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "config/parse.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/admin_actions.h"
#include "target/daemon/changes.h"
#include "target/daemon/device_opener.h"
#include "target/daemon/device_watch.h"
#include "target/daemon/events.h"
#include "target/daemon/health.h"
#include "target/daemon/host_keys.h"
#include "target/daemon/mdns.h"
#include "target/daemon/ports.h"
#include "target/daemon/running_config.h"
#include "target/daemon/staging.h"
#include "target/daemon/storage.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {

class Reload {
 public:
  using Task = boost::asio::awaitable<void>;
  using Change = AdminActions::Change;

  // The parts of the daemon to which a config is applied.
  struct Parts {
    boost::asio::io_context& io;
    core::Target& target;
    rdma::Transport& transport;
    Storage& storage;
    DeviceOpener& opener;
    HealthMonitor& health;
    Ports& ports;
    Changes& changes;
    RunningConfig& running;
    WorkerThread& files;  // reads and writes the config files
    Events& events;
  };
  explicit Reload(const Parts& parts);

  // At the start: applies the whole config. A namespace that cannot be served does not prevent others from being
  // served.
  Task serve();
  // Reads the config file and its drop-ins again. What fails in a way that nobody has thought of is Unavailable, too.
  // See AdminActions.
  Change reload(bool force = false);
  Change change(AdminActions::Edit edit, std::optional<std::string> if_match);
  Change replace(config::Sources sources, std::optional<std::string> if_match);
  Change accept(std::string nqn, uint32_t nsid);
  // The same for SIGHUP: one waiting reload serves all requests that arrive before it begins.
  Task reload_on_signal();
  // Stops announcing the discovery service, because the daemon shuts down.
  void stop() { mdns_.reset(); }
  // The daemon, which was about to make way for another program, serves again.
  void serve_on();

  // The last reload; none: there was none since the start.
  struct Last {
    std::chrono::system_clock::time_point time{};
    bool succeeded = false;
  };
  const std::optional<Last>& last() const { return last_; }

  const MissingNamespaces& missing() const { return staging_.missing(); }
  // The hosts' key files that could not be read when the config was last applied: a sentence each.
  std::vector<std::string> unreadable_keys() const;

 private:
  // Throws Refused when the running config has another version.
  void demand(const std::optional<std::string>& version) const;

  enum class Source : uint8_t {
    Files,  // the config file and its drop-ins
    AdminApi,
  };
  // `sources`: from which `wanted` was parsed. Both must outlive the change; both are moved from.
  Change become(config::Result& wanted, config::Sources& sources, Source source);
  // The same, for become(): may throw with keys_ of `wanted`. `applies` is set when hosts begin to see the change.
  Change try_to_become(config::Result& wanted, config::Sources& sources, Source source, bool& applies);
  // Reads the hosts' keys of `wanted` into keys_.
  Task read_keys(const config::Config& wanted);
  // Why the change to the config with keys_ cannot be made: files of entries that it adds.
  std::vector<std::string> keys_that_change_needs() const;
  void tell_of_faults_since(const HostKeyFiles& former);
  // Lines for the subsystems of the config whose key files have other keys than before; the hosts get them.
  std::vector<std::string> take_over_keys(const config::Config& wanted);
  void disconnect_former_keys(ConfigChange& change);
  // Returns what of it failed all the same, a sentence each.
  boost::asio::awaitable<std::vector<std::string>> apply(const config::Difference& difference, StagedNamespaces staged);
  void add_subsystem(const config::Subsystem& wanted);
  void change_subsystem(const config::Subsystem& wanted);
  void remove_subsystem(const config::Subsystem& gone);
  void set_limits(const config::Limits& wanted);
  void announce();

  void devices_may_have_changed();
  Task on_devices_changed();
  Task follow_devices();
  Task take_out_gone_devices();
  Task serve_missing();
  void watch_devices();
  void keep_looking();
  Task look_every_few_seconds();
  Task use_cmb_again();

  boost::asio::io_context& io_;
  core::Target& target_;
  rdma::Transport& transport_;
  Storage& storage_;
  DeviceOpener& opener_;
  HealthMonitor& health_;
  Ports& ports_;
  Changes& changes_;
  RunningConfig& running_;
  WorkerThread& files_;
  Events& events_;
  Staging staging_;
  WorkerThread key_reader_;
  HostKeyFiles keys_;  // of the config that is applied, or was last
  std::optional<MdnsAnnouncer> mdns_;
  boost::asio::steady_timer size_timer_;
  DeviceWatch device_watch_;
  std::optional<Last> last_;
  bool reload_is_wanted_ = false;  // after the present change
  bool devices_changed_ = false;   // since the last look at the devices
  bool looks_ = false;             // look_every_few_seconds() runs
};

}  // namespace nvmf::daemon
