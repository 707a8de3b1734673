// Notifications to the service manager that started the daemon: sd_notify(3). Without a service manager, nothing is
// sent.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace nvmf::daemon::service_manager {

// For the end of the process, after its last host is gone.
inline constexpr std::chrono::seconds kStoppingMargin{5};

// One of these is true at a time; `status` is the line that `systemctl status` shows.
void ready(const std::string& status);
void reloading();
// The daemon makes way for another program in the same process, which will say ready().
void upgrading(const std::string& status);
// The daemon ends within `timeout`: the service manager waits that long, whatever its own limit (TimeoutStopSec=) is.
void stopping(const std::string& status, std::chrono::milliseconds timeout);

// The service manager restarts a daemon that is silent for this long (WatchdogSec=); none: no watchdog.
std::optional<std::chrono::microseconds> watchdog_timeout();
void alive();

}  // namespace nvmf::daemon::service_manager
