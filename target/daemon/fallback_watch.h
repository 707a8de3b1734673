// Tells the operator of commands that went through DRAM although their namespace has peer memory. Control thread.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "target/core/datapath/io_counters.h"
#include "target/daemon/events.h"
#include "target/daemon/storage.h"

namespace nvmf::daemon {

// When a namespace's fallbacks are worth an event. Those that the config asks for (short transfers), and those that no
// setting avoids (the processor reads the data), are not.
class FallbackReports {
 public:
  using Clock = std::chrono::steady_clock;
  using Commands = std::array<uint64_t, core::kFallbacks>;  // that fell back, by reason, since the start

  static constexpr std::chrono::minutes kPeriod{10};  // between two events of one namespace
  static constexpr size_t kMostAtATime = 8;           // events of one look at all namespaces

  // A look at all namespaces begins: those that were not there in the one before are forgotten.
  void begin_look();
  std::optional<core::Event> report(const std::string& nqn, uint32_t nsid, const Commands& commands,
                                    Clock::time_point now);

 private:
  struct Told {
    Commands commands{};
    std::optional<Clock::time_point> at{};
    uint64_t look = 0;  // the last one in which it was there
  };

  std::map<std::pair<std::string, uint32_t>, Told> told_;
  uint64_t look_ = 0;
  size_t told_now_ = 0;
};

class FallbackWatch {
 public:
  FallbackWatch(boost::asio::io_context& io, const Storage& storage, Events& events)
      : storage_(storage), events_(events), timer_(io) {}

  // Looks at the counters every 10 s, for as long as the daemon runs.
  boost::asio::awaitable<void> run();

 private:
  const Storage& storage_;
  Events& events_;
  boost::asio::steady_timer timer_;
  FallbackReports reports_;
};

}  // namespace nvmf::daemon
