// What hosts have moved, by host NQN: the counters of their I/O queues, and what those counted that have ended, so that
// a host's figures only grow. Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "target/core/datapath/io_counters.h"

namespace nvmf::core {

class HostTraffic {
 public:
  // A queue of `hostnqn` begins to count. `counted` must live until end(), after which nothing is added to it.
  void begin(const std::string& hostnqn, const TrafficCounters& counted);
  // No effect when it has not begun.
  void end(const TrafficCounters& counted);

  // Of every host that has queues, and of the limits::kMaxAbsentHosts that had them last; by ascending NQN.
  void visit(const std::function<void(const std::string& hostnqn, const TrafficCounters& total)>& visitor) const;

 private:
  struct Host {
    std::vector<const TrafficCounters*> queues;
    std::unique_ptr<TrafficCounters> past = std::make_unique<TrafficCounters>();  // of queues that have ended
    uint64_t left = 0;                                                            // the order in which hosts left
  };

  void forget_who_left_first();

  std::map<std::string, Host> hosts_;
  uint64_t departures_ = 0;
};

}  // namespace nvmf::core
