#include "target/daemon/service_manager.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdint>

namespace nvmf::daemon::service_manager {
namespace {

// A lost notification is no reason to stop serving.
void send(const std::string& state) { sd_notify(0, state.c_str()); }

// The time distinguishes a reload from an earlier one.
uint64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

void ready(const std::string& status) { send("READY=1\nSTATUS=" + status); }

void upgrading(const std::string& status) {
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()) + "\nSTATUS=" + status);
}

void reloading() { upgrading("reloading"); }

void stopping(const std::string& status, std::chrono::milliseconds timeout) {
  const auto extended = std::chrono::duration_cast<std::chrono::microseconds>(timeout + kStoppingMargin);
  send("STOPPING=1\nSTATUS=" + status + "\nEXTEND_TIMEOUT_USEC=" + std::to_string(extended.count()));
}

std::optional<std::chrono::microseconds> watchdog_timeout() {
  uint64_t timeout_us = 0;
  if (sd_watchdog_enabled(0, &timeout_us) <= 0) return std::nullopt;
  return std::chrono::microseconds(timeout_us);
}

void alive() { send("WATCHDOG=1"); }

}  // namespace nvmf::daemon::service_manager
