// What the service manager that started the daemon hears of it: sd_notify(3). Without one, nothing is sent.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace nvmf::daemon::service_manager {

// One of these is true at a time; `status` is the line that `systemctl status` shows.
void ready(const std::string& status);
void reloading();
void stopping(const std::string& status);

// It ends a daemon that is silent for so long (WatchdogSec=); none: it does not watch.
std::optional<std::chrono::microseconds> watchdog_timeout();
void alive();

}  // namespace nvmf::daemon::service_manager
