// Keeps many events of the same kind from flooding the log: one line at once, then one line per period with a count.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "target/core/subsystem/event.h"

namespace nvmf::daemon {

class LogLimit {
 public:
  using Clock = std::chrono::steady_clock;
  using Write = std::function<void(const core::Event&)>;

  static constexpr std::chrono::seconds kPeriod{10};
  // The number of kinds that are counted separately; all further kinds share one counter.
  static constexpr size_t kMaxKinds = 256;

  explicit LogLimit(Write write) : write_(std::move(write)) {}

  // Other events are written at once: no host alone can cause many of them.
  static bool limits(const core::Event& event) { return event.severity == core::Severity::Warning || event.anybodys; }

  // Events about a peer that differ only in what hosts choose (the port, NQNs) and in numbers are of one kind: a host
  // has as many kinds as there are rules to break.
  void add(const core::Event& event, Clock::time_point now);
  // Writes the held-back lines that are due; returns when to call again, none when no line is held back.
  std::optional<Clock::time_point> flush(Clock::time_point now);

 private:
  struct Kind {
    Clock::time_point due;
    core::Event last{};
    uint64_t held_back = 0;
  };

  Write write_;
  std::map<std::string, Kind> kinds_;
};

}  // namespace nvmf::daemon
