// What a config says, put into effect: at the start all of it, later the difference to what runs. A change is all or
// nothing: whatever can fail is tried first, before hosts see anything. Control thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
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
#include "target/daemon/health.h"
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

  // What a config is put into effect on.
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
  };
  explicit Reload(const Parts& parts);

  // At the start: serves what the config names. A namespace that cannot be served does not keep the others from it.
  Task serve();
  // Reads the config file again. As AdminActions have it.
  Change reload();
  Change change(AdminActions::Edit edit);
  Change accept(std::string nqn, uint32_t nsid);
  // The same for SIGHUP: a reload that waits reads what all those who ask meanwhile want read.
  Task reload_on_signal();
  // Announces no discovery service any more: the daemon shuts down.
  void stop() { mdns_.reset(); }

  const MissingNamespaces& missing() const { return staging_.missing(); }

 private:
  // `text`: what `wanted` was parsed from. Both must outlive the change; what is wanted is taken.
  Change become(config::Result& wanted, const std::string& text);
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
  Task watch_sizes();

  boost::asio::io_context& io_;
  core::Target& target_;
  rdma::Transport& transport_;
  Storage& storage_;
  DeviceOpener& opener_;
  HealthMonitor& health_;
  Ports& ports_;
  Changes& changes_;
  RunningConfig& running_;
  Staging staging_;
  std::optional<MdnsAnnouncer> mdns_;
  boost::asio::steady_timer size_timer_;
  DeviceWatch device_watch_;
  bool reload_is_wanted_ = false;  // when the change under way is over
  bool devices_changed_ = false;   // since they were looked at last
};

}  // namespace nvmf::daemon
